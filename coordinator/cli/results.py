"""`edgectl results`: watch, ask, take away, label."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import grpc
import typer

from coordinator.cli.client import LONG_CALL_S, address, call, connect
from coordinator.cli.known_nodes import hint_at_typos
from coordinator.cli.labels import label, show_accuracy
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json
from coordinator.cli.references import model_reference
from coordinator.cli.result_files import WRITERS, write_jsonl
from coordinator.cli.result_files import export as export_file
from coordinator.cli.result_rows import HEADINGS, cells_of, line_of
from coordinator.cli.times import moment
from coordinator.errors import Unreachable
from protos.fleet.v1 import result_pb2 as pb
from protos.fleet.v1.result_pb2_grpc import ResultServiceStub

app = typer.Typer(help="Results: watch, query, export, label.", no_args_is_help=True, rich_markup_mode=None)


class Format(StrEnum):
    """The formats of `export`."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


Site = Annotated[str, typer.Option("--site", help="Only this site.")]
Node = Annotated[str, typer.Option("--node", help="Only this node, by name or id.")]
Pipeline = Annotated[str, typer.Option("--pipeline", help="Only this pipeline.")]
Model = Annotated[str, typer.Option("--model", help="Only this model.")]
Since = Annotated[str, typer.Option("--since", help="From then on: 5m, 2h, 7d ago, or 2026-05-01T10:00:00Z.")]
Until = Annotated[str, typer.Option("--until", help="Before then; written as --since.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="The newest so many; 0: all.")]
Json = Annotated[bool, typer.Option("--json", help="One event per line, as JSON.")]


@app.command()
def tail(site: Site = "", node: Node = "", pipeline: Pipeline = "", model: Model = "", as_json: Json = False) -> None:
    """Results as they are committed, until interrupted."""
    request = pb.TailResultsRequest(filter=_filter(site, node, pipeline, model))
    with connect() as channel:
        hint_at_typos(channel, request.filter)
        if not as_json:
            _say(line_of(HEADINGS))
        for batch in _results(channel).TailResults(request):
            if batch.dropped:
                print(f"edgectl: {batch.dropped} results left out: this reader is too slow", file=sys.stderr)
            for event in batch.events:
                _show(event, as_json)
    raise Unreachable(
        f"the coordinator at {address.get()} went away: what it takes in from now on is in edgectl results query"
    )


@app.command()
def query(
    site: Site = "",
    node: Node = "",
    pipeline: Pipeline = "",
    model: Model = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 0,
    as_json: Json = False,
) -> None:
    """Stored results, oldest first."""
    request = _query(_filter(site, node, pipeline, model), since, until, limit)
    events = _events(request)
    first = list(islice(events, 1))
    if not as_json:
        _say(line_of(HEADINGS))  # only now: where the question fails, there is no table
    for event in chain(first, events):
        _show(event, as_json)


@app.command()
def count(
    site: Site = "",
    node: Node = "",
    pipeline: Pipeline = "",
    model: Model = "",
    since: Since = "",
    until: Until = "",
    as_json: Json = False,
) -> None:
    """How many results are stored, and how many nodes had to drop."""
    request = _query(_filter(site, node, pipeline, model), since, until, 0)
    with connect() as channel:
        hint_at_typos(channel, request.filter)
        reply = call(_results(channel).CountResults, request, LONG_CALL_S)
    if as_json:
        print_json({"results": reply.results, "dropped": reply.dropped})
    else:
        _say(f"{reply.results} results, {reply.dropped} dropped on nodes")


@app.command()
def export(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The file to write; - for JSON lines on standard output.")
    ],
    file_format: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSONL,
    site: Site = "",
    node: Node = "",
    pipeline: Pipeline = "",
    model: Model = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 0,
) -> None:
    """Write stored results to a file."""
    events = _events(_query(_filter(site, node, pipeline, model), since, until, limit))
    if str(output) == "-":
        write_jsonl(events, Path("/dev/stdout"))
        return
    written = export_file(events, output, WRITERS[file_format])
    _say(f"{written} results written to {output}")


class Group(StrEnum):
    """What labelled answers are counted by."""

    VERSION = "version"
    SITE = "site"
    NODE = "node"
    PIPELINE = "pipeline"
    LABEL = "label"


@app.command()
def accuracy(
    by: Annotated[Group, typer.Option("--by", help="One line for each of these.")] = Group.VERSION,
    site: Site = "",
    node: Node = "",
    pipeline: Pipeline = "",
    model: Annotated[str, typer.Option("--model", metavar="MODEL[@VERSION]", help="Only this model.")] = "",
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """How many of the answers that were labelled are right."""
    name, version = model_reference(model) if model else ("", 0)
    query = _query(_filter(site, node, pipeline, name), since, until, 0)
    show_accuracy(query, version, by.value, as_json=as_json)


app.command("label")(label)


def _results(channel: grpc.Channel) -> ResultServiceStub:
    return ResultServiceStub(channel)  # type: ignore[no-untyped-call]


def _filter(site: str, node: str, pipeline: str, model: str) -> pb.ResultFilter:
    return pb.ResultFilter(site=site, node=node, pipeline=pipeline, model=model)


def _query(wanted: pb.ResultFilter, since: str, until: str, limit: int) -> pb.QueryResultsRequest:
    now = datetime.now(UTC)
    return pb.QueryResultsRequest(
        filter=wanted,
        since=moment(since, "--since", now) if since else "",
        until=moment(until, "--until", now) if until else "",
        limit=limit,
        newest=limit > 0,
    )


def _events(request: pb.QueryResultsRequest) -> Iterator[bytes]:
    with connect() as channel:
        hint_at_typos(channel, request.filter)
        for batch in _results(channel).QueryResults(request, timeout=LONG_CALL_S):
            yield from batch.events


def _show(event: bytes, as_json: bool) -> None:
    _say(event.decode() if as_json else line_of(cells_of(json.loads(event))))


def _say(line: str) -> None:
    print(line, flush=True)
