"""Parquet files, read with pyarrow if it is installed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from itemlens_datasets.rows import BadRow, MappingError, Reason, Row, RowError

_BATCH_ROWS = 256  # a few MB where rows hold pictures


class Parquet:
    """A Parquet file. MappingError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise MappingError("reading parquet needs pyarrow: pip install pyarrow") from error
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (ValueError, NotImplementedError) as error:
            raise MappingError(f"{path.name} is not a parquet file that can be read: {error}") from error

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self._file.metadata.num_rows)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self._file.schema_arrow.names)

    def rows(self, needed: Collection[str]) -> Iterator[Row | BadRow]:
        """The rows, with the columns that are needed."""
        number = 0
        for batch in self._file.iter_batches(_BATCH_ROWS, columns=[n for n in self.names if n in needed]):
            for cells in _each(_in_microseconds(batch)):
                number += 1
                if isinstance(cells, RowError):
                    yield BadRow.of(number, None, {}, cells)
                else:
                    yield Row(number, None, cells)


def _in_microseconds(batch: Any) -> Any:
    """Convert times in nanoseconds to microseconds, the resolution of a datetime."""
    import pyarrow

    for place, field in enumerate(batch.schema):
        if pyarrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            column = batch.column(place).cast(pyarrow.timestamp("us", field.type.tz), safe=False)
            batch = batch.set_column(place, field.name, column)
    return batch


def _each(batch: Any) -> Iterator[dict[str, Any] | RowError]:
    """The rows of a batch; a RowError in place of a row with a value that Python cannot hold."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError):
        pass
    for place in range(batch.num_rows):
        try:
            yield batch.slice(place, 1).to_pylist()[0]
        except (ValueError, OverflowError) as error:
            yield RowError(Reason.BAD_VALUE, f"a value cannot be read: {error}")
