"""The server's dependencies: those of pyproject.toml, and the client of the same version."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PinTheClient(MetadataHookInterface):
    """Adds `itemlens==<our version>`, so that the version is in one file only."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in `dependencies`."""
        metadata["dependencies"] = [f"itemlens=={metadata['version']}", *self.config["dependencies"]]
