"""Result files: JSON lines, CSV and Parquet, written as the events come, in constant memory.

A file appears under its name when it is whole: a query that breaks off leaves nothing that looks like an answer.
"""

import contextlib
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from coordinator.cli.result_rows import COLUMNS, INTEGER, REAL, TIME, TRUTH, row_of
from coordinator.errors import BadInput

ROW_GROUP = 10_000

Writer = Callable[[Iterable[bytes], Path], int]


def export(events: Iterable[bytes], file: Path, write: Writer) -> int:
    """Write the events to a file with one of WRITERS; how many there were.

    Raises:
        BadInput: the file cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        count = write(events, unfinished)
        unfinished.replace(file)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: choose another file with -o") from None
    finally:
        with contextlib.suppress(OSError):  # where it cannot be removed, it could not be made either
            unfinished.unlink()
    return count


def write_jsonl(events: Iterable[bytes], file: Path) -> int:
    """One event per line, exactly as the node sent it."""
    count = 0
    with file.open("wb") as out:
        for event in events:
            out.write(event + b"\n")
            count += 1
    return count


def write_csv(events: Iterable[bytes], file: Path) -> int:
    """One row per event, with a heading."""
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.DictWriter(out, fieldnames=list(COLUMNS))
        rows.writeheader()
        for event in events:
            rows.writerow(_plain(row_of(json.loads(event))))
            count += 1
    return count


def write_parquet(events: Iterable[bytes], file: Path) -> int:
    """One row per event, in groups.

    Raises:
        BadInput: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise BadInput("Parquet needs pyarrow: pip install 'nearfield[parquet]', or export --format csv") from None
    kinds = {INTEGER: pa.int64(), REAL: pa.float64(), TRUTH: pa.bool_(), TIME: pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, kinds.get(kind, pa.string())) for name, (kind, _) in COLUMNS.items()])
    count = 0
    with parquet.ParquetWriter(file, schema) as out:
        for group in _groups(events):
            out.write_table(pa.Table.from_pylist([_typed(row) for row in group], schema))
            count += len(group)
    return count


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """The row as CSV writes it: `true` and `false` in small letters."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in row.items()}


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its times as times."""
    return {name: datetime.fromisoformat(value) if COLUMNS[name][0] == TIME else value for name, value in row.items()}


def _groups(events: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    rows = (row_of(json.loads(event)) for event in events)
    while group := list(islice(rows, ROW_GROUP)):
        yield group


WRITERS: dict[str, Writer] = {"jsonl": write_jsonl, "csv": write_csv, "parquet": write_parquet}
