"""The settings that the chart's values may have, for its values.schema.json, and those that are live. To write them:

python tests/deploy/settings_schema.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from itemlens_server.config import LIVE, Settings

FILE = Path(__file__).parents[2] / "deploy" / "helm" / "itemlens" / "values.schema.json"
LIVE_FILE = FILE.with_name("live-settings.json")

# The chart gives these itself.
OF_THE_CHART = frozenset(
    {
        "listen", "monitoring", "models", "data", "key_file", "allow_unauthenticated", "tls_certificate",
        "tls_private_key", "tls_client_ca",
    }
)  # fmt: skip
_KEPT = ("type", "enum", "minimum", "exclusiveMinimum", "maximum")


def properties() -> dict[str, Any]:
    """JSON schemas of the settings, by name."""
    return {
        name: {key: about[key] for key in _KEPT if key in about}
        for name, about in Settings.model_json_schema()["properties"].items()
        if name not in OF_THE_CHART
    }


def write() -> None:
    """Replace the settings in the file."""
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    schema["properties"]["settings"]["properties"] = properties()
    FILE.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    LIVE_FILE.write_text(json.dumps(LIVE, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
