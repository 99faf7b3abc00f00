"""Opens the files of a data set, with an error that says what is missing and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def needed(folder: Path, names: Sequence[str], source: str) -> list[Path]:
    """The paths of the files.

    Raises:
        FileNotFoundError: one is not in the folder; the message names it and the `source` of the data.
    """
    paths = [folder / name for name in names]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"{folder} has no {', '.join(missing)}: {source}")
    return paths


def parquet(path: Path, columns: Sequence[str]) -> Any:
    """The columns of a parquet file as an Arrow table.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            f"{path.name} is a parquet file: install pyarrow, which the extra `dev` contains"
        ) from error
    return pq.read_table(path, columns=list(columns))
