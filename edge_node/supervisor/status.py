"""The status document: what the node does now, what it waits for and why. `edge-node status` prints it.

Its keys are a contract (docs/reference/node.md).
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from edge_node.capture.messages import CaptureReport
from edge_node.membership.clock import Clock
from edge_node.membership.upkeep import IdentityReport
from edge_node.outbox.events import rfc3339
from edge_node.outbox.queue import Outbox
from edge_node.rungs import SessionStatus
from edge_node.serving.control import Listening, Served
from edge_node.supervisor.actual import Offered, RunningPipeline, Session
from edge_node.supervisor.results import Tally, quantile
from edge_node.supervisor.steps import Step, Wait
from edge_node.worker.messages import PipelineStatus, Status
from protos.reported import ReportedDeployment


class StepStatus(msgspec.Struct, frozen=True):
    """A step: `doing`, `next`, or `waiting` (then `step` says for what)."""

    state: str
    deployment: str
    step: str


class PipelineReport(msgspec.Struct, frozen=True):
    """A running pipeline. Counters are since it started; latencies from capture to the outbox's commit."""

    name: str
    deployment: str
    source: str
    model: str
    version: int
    variant: str
    results: int
    dropped_frames: int
    failed_frames: int
    p50_ms: float | None
    p95_ms: float | None
    source_state: str
    error: str


class SourceReport(msgspec.Struct, frozen=True):
    """A source that is being captured."""

    name: str
    state: str
    frames: int
    bytes_in: int


class OutboxReport(msgspec.Struct, frozen=True):
    """What waits for the collector: results, their bytes, the age of the oldest; and what was given up, by reason."""

    stream: str
    last_seq: int
    acked: int
    waiting: int
    bytes: int
    oldest_s: float
    dropped: dict[str, int]


class LinkReport(msgspec.Struct, frozen=True):
    """The connections: whether each stands, and one line about it; `live` says what becomes of live results."""

    connected: bool = False
    broker: str = "no broker known yet"
    coordinator: str = ""
    live: str = ""


class BytesReport(msgspec.Struct, frozen=True):
    """What came in (encoded) from sources and for each pipeline, what left by kind, and how many messages the egress
    contract kept here by reason, since the agent started. Bytes that leave are of payloads.
    """

    taken_in: int = msgspec.field(name="in")
    pipelines: dict[str, int] = {}
    out: dict[str, int] = {}
    refused: dict[str, int] = {}


class ClockReport(msgspec.Struct, frozen=True):
    """What time it is, who says so (`coordinator`, `floor`, `system`), and how far the system's clock is ahead."""

    time: str = ""
    source: str = ""
    system_off_s: float = 0.0


class WorkerReport(msgspec.Struct, frozen=True):
    """The worker: whether it runs, its memory, how often one has died."""

    running: bool
    memory_kb: int
    deaths: int
    sessions: tuple[str, ...]
    sandbox: str = ""
    """what confines it, and what does not"""
    on: dict[str, str] = {}
    """what each session runs on (`onnxruntime/cuda`), and from what it fell back"""


class ServingReport(msgspec.Struct, frozen=True):
    """The serving process: where it takes clients, what it answers for, what it has answered, and refused by reason."""

    running: bool = False
    grpc: str = ""
    http: str = ""
    metrics: str = ""
    models: tuple[str, ...] = ()
    answered: int = 0
    refused: dict[str, int] = {}
    in_flight: int = 0
    memory_kb: int = 0
    deaths: int = 0


class StatusDocument(msgspec.Struct, frozen=True):
    """Everything that `edge-node status --json` prints."""

    node: str
    name: str
    site: str
    agent_version: str
    pid: int
    uptime_s: float
    memory_kb: int
    epoch: int
    revision: int
    refusal: str
    deployments: tuple[ReportedDeployment, ...]
    plan: tuple[StepStatus, ...]
    pipelines: tuple[PipelineReport, ...]
    sources: tuple[SourceReport, ...]
    worker: WorkerReport
    outbox: OutboxReport
    link: LinkReport
    bytes: BytesReport
    identity: IdentityReport = IdentityReport()
    clock: ClockReport = ClockReport()
    serving: ServingReport = ServingReport()


def plan_report(plan: Sequence[Step], under_way: Collection[Step]) -> tuple[StepStatus, ...]:
    """The steps under way, the next ones, then what is waited for."""
    doing = [StepStatus("doing", step.deployment, str(step)) for step in under_way]
    coming = [step for step in plan if not isinstance(step, Wait) and step not in under_way]
    waits = [StepStatus("waiting", step.deployment, step.reason) for step in plan if isinstance(step, Wait)]
    return (*doing, *(StepStatus("next", step.deployment, str(step)) for step in coming), *waits)


def pipeline_reports(
    running: Mapping[str, RunningPipeline], status: Status | None, tallies: Mapping[str, Tally]
) -> tuple[PipelineReport, ...]:
    """The running pipelines, by name."""
    known = {one.name: one for one in status.pipelines} if status is not None else {}
    return tuple(_pipeline(name, running[name], known.get(name), tallies.get(name)) for name in sorted(running))


def source_reports(captures: Mapping[str, CaptureReport]) -> tuple[SourceReport, ...]:
    """The captured sources, by name."""
    return tuple(
        SourceReport(name, report.state, report.decoded, report.ingress_bytes)
        for name, report in sorted(captures.items())
    )


def outbox_report(outbox: Outbox) -> OutboxReport:
    """What waits in the outbox."""
    return OutboxReport(
        stream=outbox.stream,
        last_seq=outbox.last_seq,
        acked=outbox.freed,
        waiting=outbox.depth,
        bytes=outbox.waiting_bytes,
        oldest_s=round(outbox.oldest_s(), 3),
        dropped={str(reason): count for reason, count in outbox.dropped.items() if count},
    )


def clock_report(clock: Clock) -> ClockReport:
    """What time it is."""
    return ClockReport(rfc3339(int(clock.now() * 1e9)), clock.source, round(clock.system_off_s(), 3))


def worker_report(running: bool, status: Status | None, deaths: int, sandbox: str = "") -> WorkerReport:
    """The worker, which may not have said anything yet; then `sandbox` is what will confine it."""
    if status is None:
        return WorkerReport(running, 0, deaths, (), sandbox)
    on = {one.session: _runs_on(one) for one in status.loaded}
    return WorkerReport(running, status.memory_kb, deaths, status.sessions, status.sandbox, on)


def _runs_on(one: SessionStatus) -> str:
    return "; ".join(filter(None, (f"{one.engine}/{one.accelerator}", one.fell)))


def serving_report(
    listening: Listening | None, served: Served | None, offered: Mapping[Session, Offered], deaths: int
) -> ServingReport:
    """The serving process, which may not run (no `listening`), or not have counted yet (no `served`)."""
    if listening is None:
        return ServingReport(deaths=deaths)
    counted = served or Served(0, {}, 0, 0)
    return ServingReport(
        running=True,
        grpc=listening.grpc,
        http=listening.http,
        metrics=listening.metrics,
        models=tuple(sorted(f"{one.model}@{one.version}" for one, offer in offered.items() if offer.connected)),
        answered=counted.answered,
        refused=counted.refused,
        in_flight=counted.in_flight,
        memory_kb=counted.memory_kb,
        deaths=deaths,
    )


def _pipeline(name: str, run: RunningPipeline, status: PipelineStatus | None, tally: Tally | None) -> PipelineReport:
    latencies = tally.latencies_ms if tally is not None else ()
    return PipelineReport(
        name=name,
        deployment=run.deployment,
        source=run.settings.source,
        model=run.session.model,
        version=run.session.version,
        variant=run.session.variant,
        results=0 if tally is None else tally.results,
        dropped_frames=0 if status is None else status.dropped,
        failed_frames=0 if status is None else status.failed,
        p50_ms=quantile(tuple(latencies), 0.5),
        p95_ms=quantile(tuple(latencies), 0.95),
        source_state="" if status is None else status.source_state,
        error="" if status is None else status.error,
    )
