"""Start a server from a serving-only environment and call it. Usage: serving_check.py PYTHON-OF-THAT-ENVIRONMENT."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from support import spaces
from support.serving import Server, sample_items

UNWANTED = {"torch", "transformers", "optimum", "pyarrow", "pytest"}


def main(python: str) -> None:
    """Fail unless the environment serves and has no packages beyond those that serving needs."""
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    unwanted = UNWANTED & {line.split()[0].lower() for line in listed.splitlines()}
    assert not unwanted, f"a serving install has {unwanted}"
    subprocess.run([python, "-m", "itemlens_cli", "--help"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        spaces.build(models)
        command = [python, "-m", "itemlens_cli"]
        with Server(models, Path(folder) / "data", python=command) as server, server.client() as client:
            client.upsert(sample_items(20)).raise_for_errors()
            answer = client.recommend(text="red shoe", k=3, reasons=True)
            why = client.explain(
                [i.item_id for i in answer.items], recommendation_id=answer.recommendation_id
            )
            assert len(why) == 3 and all(abs(explanation.residual) < 1e-4 for explanation in why)
    print("a serving install answers calls without", ", ".join(sorted(UNWANTED)))


if __name__ == "__main__":
    main(sys.argv[1])
