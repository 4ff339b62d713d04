"""`edgectl audit`: who did what, and whether the log still says so."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from coordinator.audit.chain import Entry, Head, checked, parse_head
from coordinator.cli.client import LONG_CALL_S, connect
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json, print_table
from coordinator.errors import BadInput, Exit
from protos.fleet.v1 import audit_pb2 as pb
from protos.fleet.v1.audit_pb2_grpc import AuditServiceStub

app = typer.Typer(help="The audit log: list, verify, export.", no_args_is_help=True, rich_markup_mode=None)

FIELDS = Entry.__dataclass_fields__.keys()


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", min=0, help="The newest so many; 0: all.")] = 50,
    actor: Annotated[str, typer.Option("--actor", help="Only what this principal did.")] = "",
    action: Annotated[
        str, typer.Option("--action", help="Only these acts: node.revoke, or node for all of nodes.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """What was done, the newest last."""
    wanted = [entry for entry in _entries(newest=0 if actor or action else limit) if _matches(entry, actor, action)]
    shown = wanted[-limit:] if limit else wanted
    if as_json:
        print_json([_document(entry) for entry in shown])
        return
    rows = ((one.seq, one.at[:19] + "Z", one.actor, one.action, one.subject, _outcome(one)) for one in shown)
    nothing = "nothing of this kind has been done yet" if actor or action else "nothing has been done yet"
    print_table(("SEQ", "AT", "ACTOR", "ACTION", "SUBJECT", "OUTCOME"), rows, nothing)


@app.command()
def verify(
    head: Annotated[list[str] | None, typer.Option("--head", help="SEQ:HASH that a log kept; repeatable.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="An export, instead of the coordinator's log.")] = None,
    as_json: AsJson = False,
) -> int:
    """Check the chain of hashes from the first entry on; exit code 4 where it is broken."""
    entries = _entries() if file is None else _from_file(file)
    last, problem = Head(), ""
    for one in checked(entries, [parse_head(text) for text in head or ()]):
        if isinstance(one, str):
            problem = one
        else:
            last = one.head
    if as_json:
        print_json({"intact": not problem, "entries": last.seq, "head": str(last), "problem": problem})
    elif not problem:
        print(f"intact: {last.seq} entries, head {last}")
    if problem:
        print(f"edgectl: the audit log is broken behind entry {last.seq}: {problem}", file=sys.stderr)
    return Exit.REFUSED if problem else Exit.DONE


@app.command()
def export(output: Annotated[Path, typer.Option("-o", "--output", help="Where to; - is standard output.")]) -> None:
    """The whole log as JSON lines, as `verify --file` reads it."""
    lines = (json.dumps(asdict(entry), ensure_ascii=False) for entry in _entries())
    if str(output) == "-":
        for line in lines:
            print(line)
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            written = sum(bool(file.write(f"{line}\n")) for line in lines)
    except OSError as error:
        raise BadInput(f"{output}: {error.strerror}: choose another file with -o") from None
    print(f"{written} entries written to {output}")


def _entries(newest: int = 0) -> Iterator[Entry]:
    with connect() as channel:
        stub = AuditServiceStub(channel)  # type: ignore[no-untyped-call]
        for entry in stub.ListEntries(pb.ListEntriesRequest(newest=newest), timeout=LONG_CALL_S):
            yield Entry(**{name: getattr(entry, name) for name in FIELDS})


def _from_file(file: Path) -> Iterable[Entry]:
    number = 0
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007 (said in the error)
                yield Entry(**json.loads(line))
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give a file of edgectl audit export") from None
    except (ValueError, TypeError, RecursionError):
        raise BadInput(f"{file}: line {number} is not an entry: give a file of edgectl audit export") from None


def _matches(entry: Entry, actor: str, action: str) -> bool:
    return (not actor or entry.actor == actor) and (
        not action or entry.action == action or entry.action.startswith(f"{action}.")
    )


def _document(entry: Entry) -> dict[str, object]:
    return {**asdict(entry), "detail": json.loads(entry.detail)}


def _outcome(entry: Entry) -> str:
    return str(json.loads(entry.detail).get("outcome", ""))
