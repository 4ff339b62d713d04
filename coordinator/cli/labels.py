"""`edgectl results label` and `accuracy`: what results should have said, and how many did."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import grpc
import typer

from coordinator.cli.client import LONG_CALL_S, call, connect
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json, print_table
from coordinator.errors import BadInput, NotFound
from protos.fleet.v1 import result_pb2 as pb
from protos.fleet.v1.result_pb2_grpc import ResultServiceStub

AT_ONCE = 5_000
"""Labels in one call."""
COLUMNS = ("id", "label")


def label(
    result: Annotated[str, typer.Argument(metavar="ID", help="of the result: its event's id")] = "",
    said: Annotated[str, typer.Argument(metavar="LABEL", help="what it should have said")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="CSV", help="Many at once: columns id and label.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what results should have said."""
    if (file is None) is not bool(result):
        raise BadInput("give the id of a result and its label, or --file CSV with columns id and label")
    given = [(result, said)] if file is None else list(read_labels(file))
    with connect() as channel:
        replies = [_label(channel, part) for part in _parts(given)]
    labelled, right = sum(one.labelled for one in replies), sum(one.right for one in replies)
    unknown = [name for one in replies for name in one.unknown]
    if as_json:
        print_json({"labelled": labelled, "right": right, "unknown": unknown})
    elif labelled:
        print(f"{labelled} labelled; {right} of these answers were right")
    if unknown:
        raise NotFound(f"{len(unknown)} of these results are not stored here, the first is {unknown[0]}")


def read_labels(file: Path) -> Iterator[tuple[str, str]]:
    """The id and label of each line.

    Raises:
        BadInput: no such table.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = csv.DictReader(lines)
            missing = next((name for name in COLUMNS if name not in (rows.fieldnames or ())), None)
            if missing is not None:
                raise BadInput(f"{file}: no column {missing!r}: its first line names the columns: id,label")
            for row in rows:
                if row["label"] is None:
                    raise BadInput(f"{file}, line {rows.line_num}: no label")
                yield row["id"].strip(), row["label"].strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read ({error}): columns id and label") from None


def show_accuracy(query: pb.QueryResultsRequest, version: int, by: str, *, as_json: bool) -> None:
    """Print how many labelled answers were right."""
    request = pb.GetAccuracyRequest(query=query, version=version, by=by)
    with connect() as channel:
        rows = call(_results(channel).GetAccuracy, request, LONG_CALL_S).rows
    found = [{by: one.key, "labelled": one.labelled, "right": one.right} for one in rows]
    found = [{**one, "accuracy": round(one["right"] / one["labelled"], 6)} for one in found]
    if as_json:
        print_json(found)
        return
    print_table(
        (by, "labelled", "right", "accuracy"), (tuple(one.values()) for one in found), "no labels: results label"
    )


def _label(channel: grpc.Channel, part: list[tuple[str, str]]) -> pb.LabelResultsReply:
    results = [pb.LabelledResult(id=result, label=said) for result, said in part]
    reply: pb.LabelResultsReply = call(
        _results(channel).LabelResults, pb.LabelResultsRequest(results=results), LONG_CALL_S
    )
    return reply


def _results(channel: grpc.Channel) -> ResultServiceStub:
    return ResultServiceStub(channel)  # type: ignore[no-untyped-call]


def _parts(given: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    rest = iter(given)
    while part := list(islice(rest, AT_ONCE)):
        yield part
