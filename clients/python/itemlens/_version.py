"""The version of both distributions, `itemlens` and `itemlens-server`. Their pyproject.toml files read this file."""

__version__ = "0.1.0"
