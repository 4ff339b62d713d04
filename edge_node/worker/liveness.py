"""Decides when a worker hangs or holds too much, and says what one died of. Pure: times are arguments, in seconds."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_node.worker.messages import CloseLane, Load, OpenLane, Prove, Request, Start, Status, Stop, Switch


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    `start_s` to its first word, `silence_s` without a word after it; `busy_s` for one inference, `rung_s` for one of a
    session that has another rung to fall to; `answer_s` for a request, `load_s` for one that loads or proves models: an
    engine may keep everything else waiting meanwhile, the status too. `memory_mb` of memory of its own; 0: no limit;
    `memory_name` is what people call that limit.
    """

    start_s: float = 30.0
    silence_s: float = 5.0
    busy_s: float = 5.0
    answer_s: float = 30.0
    load_s: float = 120.0
    memory_mb: int = 0
    rung_s: float = 1.5
    memory_name: str = "worker.memory_mb"


@dataclass(frozen=True)
class Pending:
    """A request that waits for its answer since a time."""

    request: Request
    since_s: float


def hang(now_s: float, heard_s: float, status: Status | None, pending: Sequence[Pending], limits: Limits) -> str | None:
    """Why the worker is to be killed; None: it is well.

    Args:
        now_s: the time.
        heard_s: when it last said anything, or was started.
        status: its newest.
        pending: what it owes an answer to.
        limits: what it may take.
    """
    for one in pending:
        limit_s = _limit_s(one.request, limits)
        if now_s - one.since_s > limit_s:
            return f"it hung (no answer within {limit_s:g} s)"
    loading = any(isinstance(one.request, Load | Prove) for one in pending)
    silence_s = limits.start_s if status is None else limits.silence_s
    if now_s - heard_s > (limits.load_s if loading else silence_s):
        return f"it hung (no sign of life for {now_s - heard_s:.1f} s)"
    for pipeline in () if status is None else status.pipelines:
        if pipeline.busy_ms > _busy_s(pipeline.session, status, limits) * 1e3:
            return f"it hung (an inference of pipeline {pipeline.name} runs for {pipeline.busy_ms / 1e3:.1f} s)"
    for lane in () if status is None else status.lanes:
        if lane.busy_ms > _busy_s(lane.session, status, limits) * 1e3:
            return f"it hung (an inference of session {lane.session} runs for {lane.busy_ms / 1e3:.1f} s)"
    return None


def overgrown(held_kb: int | None, limits: Limits) -> str | None:
    """Why the worker is to be killed for its memory; None: it is well, or nobody knows.

    Args:
        held_kb: the memory that is its own.
        limits: what it may take.
    """
    if held_kb is None or not limits.memory_mb or held_kb <= limits.memory_mb * 1024:
        return None
    return f"it held {held_kb // 1024} MB, more than {limits.memory_name} = {limits.memory_mb}"


def death(
    returncode: int | None,
    killed_for: str | None,
    running: Mapping[str, str],
    pending: Sequence[Pending],
    serving: Sequence[str] = (),
) -> str:
    """One line: how the worker ended, and what it was doing.

    Args:
        returncode: as `subprocess` gives it; negative: the signal.
        killed_for: why we killed it, if we did.
        running: the session of each pipeline.
        pending: what it owed an answer to.
        serving: the sessions with a lane.
    """
    return f"the worker {_end(returncode, killed_for)} while {_doing(running, pending, serving)}"


def doing(request: Request) -> str:
    """A request in words."""
    match request:
        case Prove(_, bundle, variant):
            return f"proving {variant or 'the variants'} of {bundle}"
        case Load(_, session, bundle, variant):
            return f"loading {variant or bundle} as session {session}"
        case Start(_, run):
            return f"starting pipeline {run.name} on session {run.session}"
        case Switch(_, run):
            return f"switching pipeline {run.name} to session {run.session}"
        case Stop(_, pipeline):
            return f"stopping pipeline {pipeline}"
        case OpenLane(_, session):
            return f"opening the lane of session {session}"
        case CloseLane(_, session):
            return f"closing the lane of session {session}"
        case _:
            return f"unloading session {request.session}"


def _busy_s(session: str, status: Status | None, limits: Limits) -> float:
    falls = any(one.session == session and not one.last for one in (() if status is None else status.loaded))
    return min(limits.busy_s, limits.rung_s) if falls else limits.busy_s


def _limit_s(request: Request, limits: Limits) -> float:
    if isinstance(request, Load) and request.patience_s is not None:
        return min(limits.load_s, request.patience_s)
    return limits.load_s if isinstance(request, Load | Prove) else limits.answer_s


def _end(returncode: int | None, killed_for: str | None) -> str:
    if killed_for is not None:
        return f"was killed because {killed_for}"
    if returncode is not None and returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


def _doing(running: Mapping[str, str], pending: Sequence[Pending], serving: Sequence[str]) -> str:
    if pending:
        return doing(pending[0].request)
    pipelines = ", ".join(f"pipeline {name} on session {session}" for name, session in running.items())
    parts = [f"running {pipelines}" if running else "", f"serving session {', '.join(serving)}" if serving else ""]
    return " and ".join(filter(None, parts)) or "idle"
