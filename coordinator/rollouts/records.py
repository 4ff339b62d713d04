"""What is kept of a rollout and its members, and what `advance` sees of the world and decides. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import Stage, State
from protos.deployment import Deployment
from protos.digest import Digest
from protos.evidence import ReportedShadow, ReportedTrial
from protos.identity import NodeId


@dataclass(frozen=True)
class Measure:
    """A number that somebody outside gave for the candidate (`edgectl rollout measure`)."""

    value: float
    samples: int


@dataclass(frozen=True)
class Rollout:
    """A rollout. Times are UTC; those with a default are of the state that it is in."""

    id: str
    """of its deployment the n-th: `shelf-3`"""
    spec: RolloutSpec
    before: Deployment
    after: Deployment
    before_digest: Digest
    after_digest: Digest
    state: State
    created_at: datetime
    created_by: str
    since: datetime
    """when it came into this state"""
    wave: int = 0
    """the waves up to this one may start"""
    wave_since: datetime | None = None
    progress_at: datetime | None = None
    """when a member last became healthy, or the wave began"""
    reason: str = ""
    """why it is in this state; one line"""
    resumes: State | None = None
    """where it goes on, when paused; what ends a revert (`REVERTED` or `ABORTED`)"""
    approved_by: str = ""
    promoted: int = -1
    """the newest wave that a person has let pass; -1: none"""
    attempt: int = 0
    """rises with each resume after a failure, so that nodes that went back try again"""
    measures: Mapping[str, Measure] = field(default_factory=dict)
    fence: int = 0
    """the fencing number of the lease that last wrote it"""


@dataclass(frozen=True)
class Member:
    """A node of a rollout. `since` is when it came into this stage."""

    node: NodeId
    wave: int
    stage: Stage = Stage.WAITING
    since: datetime | None = None
    reason: str = ""
    """why it waits, or why it failed; one line"""
    attempt: int = 0


@dataclass(frozen=True)
class Truth:
    """Labelled answers of one pipeline on a node: all, and those that were right."""

    node: NodeId
    pipeline: str
    labelled: int
    right: int


@dataclass(frozen=True)
class View:
    """What is known of a member's node now, of its newest report."""

    node: NodeId
    site: str
    labels: Mapping[str, str]
    online: bool
    timezone: str = ""
    heard_at: datetime | None = None
    """when its newest report came"""
    digest: Digest | None = None
    """what it should run of the deployment, as it says itself"""
    phase: str = "pending"
    reason: str = ""
    serving_version: int | None = None
    trial: ReportedTrial | None = None
    shadow: ReportedShadow | None = None
    p95_ms: float | None = None
    """of its proof"""
    truths: tuple[Truth, ...] = ()
    """answers of the new version that were labelled since the rollout began"""


@dataclass(frozen=True)
class Event:
    """Something that was decided, with the numbers that decided it (JSON-able)."""

    at: datetime
    kind: str
    """state, wave, gate, member, order"""
    text: str
    """one line for a person"""
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What comes next: the rollout as it is now, the members that changed, and why."""

    rollout: Rollout
    members: tuple[Member, ...] = ()
    """only those that changed"""
    events: tuple[Event, ...] = ()
    wake_at: datetime | None = None
    """when time alone will change something; None: only news will"""
