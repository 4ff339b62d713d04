"""Watching a rollout until it ends: a live picture on a terminal, a line for each decision elsewhere."""

import sys
import time
from collections.abc import Callable

import grpc
from rich.console import Console
from rich.live import Live

from coordinator.cli.client import call
from coordinator.cli.documents import Document
from coordinator.cli.output import clock_text, plain
from coordinator.cli.rollout_documents import rollout_document_of
from coordinator.cli.rollout_table import picture
from protos.fleet.v1.rollout_pb2 import GetRolloutRequest, Rollout
from protos.fleet.v1.rollout_pb2_grpc import RolloutServiceStub

EVERY_S = 1.0
PATIENCE_S = 60.0
"""So long a coordinator may be away: it restarts, and the rollout goes on."""
MEMBERS, EVENTS = 15, 8
AT_ONCE = 200
"""Events that are asked for where each is printed."""
COMPLETED = "completed"
WAITS_FOR_NOBODY = "failed"
"""Not an end, and nothing moves any more until a person orders something: watching ends here too."""


def watch(stub: RolloutServiceStub, reference: str, *, quiet: bool = False) -> Rollout:
    """Show the rollout until it ends, or has failed and waits for a person; as it is then. `quiet`: show nothing, and
    all of it at the end.
    """
    if quiet:
        ended = _followed(stub, GetRolloutRequest(rollout=reference, members=1, events=1), lambda _rollout, _note: None)
        whole: Rollout = call(stub.GetRollout, GetRolloutRequest(rollout=ended.id))
        return whole
    if sys.stdout.isatty():
        return _live(stub, reference)
    return _lines(stub, reference)


def is_over(rollout: Rollout) -> bool:
    """Whether nothing moves any more by itself."""
    return bool(rollout.ended) or rollout.state == WAITS_FOR_NOBODY


def _live(stub: RolloutServiceStub, reference: str) -> Rollout:
    with Live(console=Console(highlight=False), auto_refresh=False) as live:  # long lines fold: it counts them

        def show(rollout: Rollout | None, note: str) -> None:
            if rollout is not None:
                live.update(picture(rollout_document_of(rollout), note), refresh=True)

        return _followed(stub, GetRolloutRequest(rollout=reference, members=MEMBERS, events=EVENTS), show)


def _lines(stub: RolloutServiceStub, reference: str) -> Rollout:
    told = 0

    def show(rollout: Rollout | None, note: str) -> None:
        nonlocal told
        if rollout is None or note:
            return
        new = rollout.event_count - told
        for event in list(rollout.events)[-new:] if new else ():
            print(f"{clock_text(event.at)} {event.kind}: {plain(event.text)}", flush=True)
        told = rollout.event_count

    return _followed(stub, GetRolloutRequest(rollout=reference, members=1, events=AT_ONCE), show)


def _followed(
    stub: RolloutServiceStub, request: GetRolloutRequest, show: Callable[[Rollout | None, str], None]
) -> Rollout:
    last: Rollout | None = None
    away_since: float | None = None
    while True:
        try:
            last, away_since = call(stub.GetRollout, request), None
            request.rollout = last.id  # of a deployment the one that was the newest when this began
            show(last, "")
            if is_over(last):
                return last
        except grpc.RpcError as error:
            away_since = away_since or time.monotonic()
            if last is None or not _is_away(error) or time.monotonic() - away_since > PATIENCE_S:
                raise
            show(last, "the coordinator does not answer: trying again")
        time.sleep(EVERY_S)


def _is_away(error: grpc.RpcError) -> bool:
    code: Callable[[], grpc.StatusCode] = error.code
    return code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def outcome_line(rollout: Document) -> str:
    """How it ended, in one line."""
    why = f": {rollout['reason']}" if rollout["reason"] else ""
    line = plain(f"rollout {rollout['id']} is {rollout['state']}{why}")
    if rollout["state"] == WAITS_FOR_NOBODY:
        return f"{line}; next: edgectl rollout resume|abort|revert {rollout['id']}"
    return line
