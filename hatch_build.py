"""The server's dependencies: those of pyproject.toml, and the client of this very version."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PinTheClient(MetadataHookInterface):
    """Adds `itemlens==<our version>`, so that the version stands in one file."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in `dependencies`."""
        metadata["dependencies"] = [f"itemlens=={metadata['version']}", *self.config["dependencies"]]
