"""`edgectl rollout`: create, plan, watch, show, list, measure, and the orders."""

import json
from collections.abc import Callable
from typing import Annotated

import typer

from coordinator.cli.client import call, connect
from coordinator.cli.documents import Document
from coordinator.cli.options import AsJson
from coordinator.cli.output import age_text, clock_text, print_fields, print_json, print_table, size_text, warn
from coordinator.cli.rollout_documents import plan_document, rollout_document_of
from coordinator.cli.rollout_options import with_rollout_options
from coordinator.cli.rollout_table import gate_text, member_rows, stages_text
from coordinator.cli.rollout_watch import COMPLETED, outcome_line, watch
from coordinator.errors import Exit, WrongUsage
from protos.fleet.v1.rollout_pb2 import (
    CreateRolloutRequest,
    GetRolloutRequest,
    ListRolloutsRequest,
    MeasureRolloutRequest,
    OrderRolloutRequest,
    PlanRolloutRequest,
)
from protos.fleet.v1.rollout_pb2_grpc import RolloutServiceStub

app = typer.Typer(
    help="Rollouts: another version, wave by wave, with proof.", no_args_is_help=True, rich_markup_mode=None
)

Reference = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Its id, or its deployment: the newest one.")]
Moved = Annotated[str | None, typer.Argument(metavar="DEPLOYMENT", help="May stand in --file.")]
ORDERS = {
    "start": "Begin one that is a draft.",
    "pause": "Nobody else starts until it is resumed.",
    "resume": "Go on; nodes that failed try again.",
    "promote": "Approve it, end the shadow, or let the next wave begin.",
    "abort": "Give it up: nodes return to the version before.",
    "revert": "Bring all nodes back to the version before.",
}
SHOWN_MEMBERS, SHOWN_EVENTS = 30, 60


@app.command("create")
@with_rollout_options
def create_rollout(
    document: Document,
    draft: Annotated[bool, typer.Option("--draft", help="Only write it down.")] = False,
    no_queue: Annotated[
        bool, typer.Option("--no-queue", help="Refuse it where another has some of its nodes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Move a deployment to another version."""
    with connect() as channel:
        request = CreateRolloutRequest(spec_json=json.dumps(document), draft=draft, no_queue=no_queue)
        created = rollout_document_of(call(_stub(channel).CreateRollout, request))
    if as_json:
        print_json(created)
        return
    waves = ", ".join(str(wave["nodes"]) for wave in created["waves"])
    moves = f"{created['before']} → {created['after']}"
    print(f"rollout {created['id']}: {moves}, nodes of its waves: {waves}; {created['state']}")
    print(f"next: edgectl rollout {'start' if draft else 'watch'} {created['id']}")


@app.command("plan")
@with_rollout_options
def plan_rollout(document: Document, as_json: AsJson = False) -> None:
    """What a rollout would do on each node; nothing moves."""
    with connect() as channel:
        plan = plan_document(call(_stub(channel).PlanRollout, PlanRolloutRequest(spec_json=json.dumps(document))))
    if as_json:
        print_json(plan)
        return
    columns = ("NODE", "WAVE", "FITS", "VARIANT", "ENGINE", "P95 MS", "FETCH", "WINDOW")
    print_table(columns, (_planned(node) for node in plan["nodes"]), "no node runs that deployment")
    warn(plan["warnings"])


@app.command("watch")
def watch_rollout(rollout: Reference, as_json: AsJson = False) -> None:
    """Follow it until it ends: exit code 0 where it is completed."""
    with connect() as channel:
        ended = rollout_document_of(watch(_stub(channel), rollout, quiet=as_json))
    print_json(ended) if as_json else print(outcome_line(ended))
    if ended["state"] != COMPLETED:
        raise typer.Exit(Exit.FAILED)


@app.command("show")
def show_rollout(
    rollout: Reference,
    all_of_it: Annotated[bool, typer.Option("--all", help="Every node and every decision.")] = False,
    as_json: AsJson = False,
) -> None:
    """One rollout: its waves, its nodes, and what was decided by which numbers."""
    limits = (0, 0) if all_of_it or as_json else (SHOWN_MEMBERS, SHOWN_EVENTS)
    with connect() as channel:
        request = GetRolloutRequest(rollout=rollout, members=limits[0], events=limits[1])
        found = rollout_document_of(call(_stub(channel).GetRollout, request))
    print_json(found) if as_json else _print_rollout(found)


@app.command("list")
def list_rollouts(deployment: Moved = None, as_json: AsJson = False) -> None:
    """Rollouts, the newest first."""
    with connect() as channel:
        found = call(_stub(channel).ListRollouts, ListRolloutsRequest(deployment=deployment or "")).rollouts
    documents = [rollout_document_of(rollout) for rollout in found]
    if as_json:
        print_json([{key: value for key, value in one.items() if key not in LEFT_OUT} for one in documents])
        return
    columns = ("ROLLOUT", "FROM", "TO", "STATE", "FOR", "BY", "WHY")
    none = "no rollouts yet: edgectl rollout create DEPLOYMENT --to MODEL@VERSION"
    print_table(columns, (_row(document) for document in documents), none)


LEFT_OUT = frozenset({"waves", "members", "events"})
"""Of rollouts in a list: `show` has them."""


@app.command("measure")
def measure_rollout(
    rollout: Reference,
    measure: Annotated[str, typer.Argument(metavar="NAME=VALUE", help="For example sales_per_hour=12.5")],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Of how many.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Give a number that you measured of the new version, for a gate that names it."""
    name, value = _measure(measure)
    with connect() as channel:
        request = MeasureRolloutRequest(rollout=rollout, name=name, value=value, samples=samples)
        found = rollout_document_of(call(_stub(channel).MeasureRollout, request))
    print_json(found) if as_json else print(f"rollout {found['id']}: {name} is {value:g} ({samples} samples)")


def _ordering(what: str) -> Callable[..., None]:
    def ordered(rollout: Reference, as_json: AsJson = False) -> None:
        with connect() as channel:
            request = OrderRolloutRequest(rollout=rollout, order=what)
            found = rollout_document_of(call(_stub(channel).OrderRollout, request))
        print_json(found) if as_json else print(outcome_line(found))

    return ordered


for _order, _text in ORDERS.items():
    app.command(_order, help=_text)(_ordering(_order))


def _stub(channel: object) -> RolloutServiceStub:
    return RolloutServiceStub(channel)  # type: ignore[no-untyped-call]


def _measure(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise WrongUsage(f"{text!r}: write NAME=VALUE, for example sales_per_hour=12.5") from None


def _print_rollout(found: Document) -> None:
    approved = f", approved by {found['approved_by']}" if found["approved_by"] else ""
    measures = ", ".join(f"{name} {one['value']:g} of {one['samples']}" for name, one in found["measures"].items())
    print_fields(
        (
            ("rollout", f"{found['id']}: {found['before']} → {found['after']}"),
            ("state", f"{found['state']} for {age_text(found['since'])}"),
            ("why", found["reason"] or "-"),
            ("created", f"{found['created_at']} by {found['created_by']}{approved}"),
            ("specification", ", ".join(f"{key} {_value(value)}" for key, value in found["spec"].items())),
            ("measures", measures or "-"),
            ("orders", ", ".join(found["orders"]) or "-"),
        )
    )
    print()
    print_table(("WAVE", "NODES", "STAGES", "GATES"), _wave_rows(found["waves"]), "no waves")
    print()
    print_table(("NODE", "WAVE", "STAGE", "SINCE", "WHY"), member_rows(found["members"]), "no nodes")
    print()
    rows = ((event["at"][:10], clock_text(event["at"]), event["kind"], event["text"]) for event in found["events"])
    print_table(("DAY", "UTC", "KIND", "WHAT WAS DECIDED"), rows, "nothing was decided yet")


def _wave_rows(waves: list[Document]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for wave in waves:
        gates = [gate_text(gate) for gate in wave["gates"]] or ["-"]
        rows.append((wave["wave"], wave["nodes"], stages_text(wave), gates[0]))
        rows += [("", "", "", gate) for gate in gates[1:]]
    return rows


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={one}" for key, one in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _planned(node: Document) -> tuple[object, ...]:
    p95 = "-" if node["p95_ms"] is None else f"{node['p95_ms']:.1f} ({node['proofs']})"
    return (
        f"{node['site']}/{node['name']}",
        node["wave"],
        "yes" if node["fits"] else f"no: {node['reason']}",
        node["variant"] or "-",
        node["engine"] or "-",
        p95,
        size_text(node["fetch_bytes"]),
        node["window"] or ("open" if node["online"] else "open, offline"),
    )


def _row(rollout: Document) -> tuple[object, ...]:
    return (
        rollout["id"],
        rollout["before"],
        rollout["after"],
        rollout["state"],
        age_text(rollout["since"]),
        rollout["created_by"],
        rollout["reason"],
    )
