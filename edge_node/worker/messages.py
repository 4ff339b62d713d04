"""What the agent and a worker say to each other, and the agent's view of a worker.

On the socket each message is a 4-byte big-endian length and MessagePack. The agent sends requests, each with a
number; the worker answers every request once, and sends observations and a status each second unasked.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import msgspec

from edge_node.engine.proof import VariantProof
from edge_node.pipeline.observation import Observation
from edge_node.rungs import Rung, SessionStatus


class Prove(msgspec.Struct, frozen=True, tag=True):
    """Try the bundle's variants on this device: all that can run here, or the one named."""

    request: int
    bundle: str
    variant: str | None = None
    threads: int = 1
    again: bool = False
    """measure only, in fewer runs: the golden vectors were compared before"""
    rung: Rung | None = None
    """what to try on; None: each variant with its own engine on the processor"""


class FallenRung(msgspec.Struct, frozen=True):
    """That a rung took a worker with it: its place on the ladder, how often, and when it may be tried again."""

    place: int
    reason: str
    attempts: int
    retry_in_s: float


class Ladder(msgspec.Struct, frozen=True):
    """The rungs of a session, best first, and those of them that have fallen already."""

    rungs: tuple[Rung, ...] = ()
    fallen: tuple[FallenRung, ...] = ()


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load and warm a variant under a session key, beside what is loaded.

    `bundle` is the folder of a bundle, or a model file, which can only be served: then `variant` is empty.
    """

    request: int
    session: str
    bundle: str
    variant: str
    threads: int = 1
    instances: int = 1
    ladder: Ladder = Ladder()
    """none: the engine of its format on the processor"""
    compiled: str = ""
    """the file with the compiled form of its best rung, and `digest` the SHA-256 that it must have"""
    digest: str = ""
    patience_s: float | None = None
    """how long it may take, since its ladder has another rung; None: as long as any load"""


class Unload(msgspec.Struct, frozen=True, tag=True):
    """Close a session that no pipeline uses."""

    request: int
    session: str


class Budget(msgspec.Struct, frozen=True):
    """What a shadow may take: a share of the frames, 0..1, and of one core, on average."""

    share: float = 1.0
    cpu: float = 0.5


class PipelineRun(msgspec.Struct, frozen=True):
    """A pipeline as a worker runs it: frames from the capture socket at `source`, answers from `session`.

    With a budget it is a shadow: it watches the pipeline of its name that another worker runs, and takes only frames
    that this one takes.
    """

    name: str
    session: str
    source: str
    fps: float | None = None
    top_k: int | None = None
    score_threshold: float | None = None
    threshold: float | None = None
    shadow: Budget | None = None


class Start(msgspec.Struct, frozen=True, tag=True):
    """Start a pipeline."""

    request: int
    run: PipelineRun


class Switch(msgspec.Struct, frozen=True, tag=True):
    """Move a pipeline to another session between two frames; answered when the frame in work has left the old one."""

    request: int
    run: PipelineRun


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Finish the frame in work and stop the pipeline."""

    request: int
    pipeline: str


class LaneState(msgspec.Struct, frozen=True):
    """An input of a model file by itself that is the output of the step before.

    `shape` is without the axis of batches; `initial` are the bytes that a sequence begins with, empty: zeros.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    initial: bytes = b""


class LaneOptions(msgspec.Struct, frozen=True):
    """How a session answers on its lane.

    `max_batch` is the most samples that the engine is given at once, where the model takes several. `check_values`:
    inputs out of their declared range are refused, and those that are not finite where the ask says so. `padded` are
    the names of open axes (as the model file has them) that asks may have of different lengths in one batch, besides
    those of the bundle's manifest; the shorter are filled with zeros. At most `sequences` are open at once; one without
    an ask for `sequence_idle_s` is forgotten.
    """

    max_batch: int = 8
    check_values: bool = True
    padded: tuple[str, ...] = ()
    sequence_idle_s: float = 60.0
    sequences: int = 1000
    labelled: str = ""
    """the output whose classes are named by `labels`, where no bundle says it"""
    labels: tuple[str, ...] = ()
    states: tuple[LaneState, ...] = ()
    """where no bundle says them"""


class OpenLane(msgspec.Struct, frozen=True, tag=True):
    """Answer on a lane of the serving process that listens at the path `lane`, instead of the session's lane before."""

    request: int
    session: str
    lane: str
    options: LaneOptions = LaneOptions()


class CloseLane(msgspec.Struct, frozen=True, tag=True):
    """Hang up a session's lane; a session without one is fine."""

    request: int
    session: str


Request = Prove | Load | Unload | Start | Switch | Stop | OpenLane | CloseLane


class Done(msgspec.Struct, frozen=True, tag=True):
    """A request was carried out. `spoiled`: the compiled form was not what it should be, and was not used."""

    request: int
    proofs: tuple[VariantProof, ...] = ()
    elapsed_ms: float = 0.0
    spoiled: bool = False


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A request failed; `reason` is one line."""

    request: int
    reason: str


class Observed(msgspec.Struct, frozen=True, tag=True):
    """Answers, oldest first."""

    observations: tuple[Observation, ...]


class PipelineStatus(msgspec.Struct, frozen=True):
    """Counters since the pipeline started. `busy_ms` is how long the inference in work has been running."""

    name: str
    session: str
    inferred: int
    dropped: int
    failed: int
    ingress_bytes: int
    busy_ms: float = 0.0
    source_state: str = ""
    """`connected`, or why there are no frames"""
    error: str = ""
    """the newest failure of an inference, one line"""
    failing: int = 0
    """failures since this session's last answer"""
    errors: int = 0
    """failures of this session"""


class LaneStatus(msgspec.Struct, frozen=True):
    """Counters since the lane was opened. `busy_ms` is how long the run in work has been going on."""

    session: str
    open: bool
    """false: the serving process hung up"""
    answered: int
    failed: int
    busy_ms: float = 0.0
    error: str = ""
    """the newest failure of the engine, one line"""
    errors: int = 0
    """of the failed ones those that are the model's fault, not the asker's"""
    latency: dict[int, int] = {}
    """answers by how long they took, in buckets of `protos.evidence`"""


class Status(msgspec.Struct, frozen=True, tag=True):
    """Each second: that the worker lives, and what its pipelines and lanes do."""

    pipelines: tuple[PipelineStatus, ...]
    sessions: tuple[str, ...]
    memory_kb: int
    sandbox: str = ""
    """what confines the worker, and what does not; one line"""
    lanes: tuple[LaneStatus, ...] = ()
    loaded: tuple[SessionStatus, ...] = ()


Reply = Done | Failed | Observed | Status


NOTHING_KNOWN: Mapping[str, float] = MappingProxyType({})


class Worker(Protocol):
    """The agent's handle on a worker, whether a process or a thread. All methods run on the agent's event loop.

    A method raises `WorkerFailed` with one line where the worker refuses the request, dies on it or hangs.
    """

    pid: int | None
    """of its process; None: it has none (yet)"""
    status: Status | None
    """the newest, None before the first"""
    on_observed: Callable[[Sequence[Observation]], None]
    on_status: Callable[[Status], None]
    """called with each status"""
    on_exit: Callable[[str], None]
    """called once, with the reason, when the worker ends without having been closed"""

    async def start_worker(self) -> None:
        """Start the process or thread."""

    async def prove(
        self, bundle: Path, variant: str | None, threads: int, *, again: bool = False, rung: Rung | None = None
    ) -> tuple[VariantProof, ...]:
        """Proofs of the variants that can or cannot run here; `again`: measured only."""

    async def load(
        self,
        session: str,
        bundle: Path,
        variant: str,
        threads: int,
        instances: int,
        rungs: tuple[Rung, ...] = (),
        loads_ms: Mapping[str, float] = NOTHING_KNOWN,
    ) -> float:
        """Load and warm, on the best of the rungs; milliseconds that it took.

        `loads_ms` is what loading took on each when it was proven, by name: one that takes far longer hangs.
        """

    async def unload(self, session: str) -> None:
        """Close a session."""

    async def start(self, run: PipelineRun) -> None:
        """Start a pipeline."""

    async def switch(self, run: PipelineRun) -> float:
        """Move a pipeline to another session; milliseconds without an answer from either."""

    async def stop(self, pipeline: str) -> None:
        """Stop a pipeline."""

    async def open_lane(self, session: str, lane: str, options: LaneOptions) -> None:
        """Let a session answer on a lane of the serving process that listens at the path `lane`."""

    async def close_lane(self, session: str) -> None:
        """Hang up a session's lane."""

    async def close(self) -> None:
        """End the worker: ask, then kill. Idempotent."""
