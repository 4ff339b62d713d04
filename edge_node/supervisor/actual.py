"""Actual state: what is on the disk, proven, loaded, running, and what failed: a frozen snapshot for the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from edge_node.engine.select import Choice, NoChoice
from edge_node.rungs import SessionStatus
from edge_node.store.surplus import Held
from edge_node.supervisor.verdict import Verdict
from edge_node.supervisor.watch import Vitals
from protos.deployment import Pipeline, Serving
from protos.desired import DesiredDeployment
from protos.digest import Digest, digest_of, short
from protos.evidence import ReportedShadow, Shadow

ChoiceKey = tuple[Digest, str | None]
"""A bundle and the variant that its deployment pins, if it pins one."""


@dataclass(frozen=True)
class Session:
    """A variant of a model version, loaded or to be loaded; `serving` says how clients are to be answered from it.

    Another `serving` is another session, so that one relieves the other as a new version does.
    """

    model: str
    version: int
    digest: Digest
    variant: str
    serving: Serving | None = None

    @property
    def key(self) -> str:
        """What the worker calls it."""
        key = f"{self.model}@{self.version}/{short(self.digest)}/{self.variant}"
        if self.serving in (None, Serving()):
            return key
        return f"{key}/{short(digest_of(msgspec.json.encode(self.serving)))}"


@dataclass(frozen=True)
class RunningPipeline:
    """A pipeline that the worker runs. `since` is when it came to this session, in the seconds of `Facts.now`."""

    deployment: str
    settings: Pipeline
    session: Session
    since: float


@dataclass(frozen=True)
class Offered:
    """That the serving process answers from a session, for which deployment; `since` is in the seconds of `Facts.now`.

    Its lane is `connected`; after a worker's death the serving process waits for it to come back.
    """

    deployment: str
    since: float
    connected: bool = True


@dataclass(frozen=True)
class ShadowStanding:
    """How the shadow of a deployment stands: its `session` is loaded and watches the pipelines that it `follows`.

    `failed` says why it has ended. `told` is what was measured up to now, to be told anew at `tell_at` (`Facts.now`).
    """

    shadow: Shadow
    session: Session | None = None
    follows: tuple[RunningPipeline, ...] = ()
    failed: str = ""
    told: ReportedShadow | None = None
    tell_at: float = 0.0


@dataclass(frozen=True)
class Failure:
    """What went wrong with one subject, how often in a row, and when it may be tried again (`Facts.now`).

    `refused`: this node does not do it, as it stands; time alone does not help.
    """

    reason: str
    attempts: int
    retry_at: float
    refused: bool = False


@dataclass(frozen=True)
class Actual:
    """Everything that the node has and does.

    `known` bundles have something on the disk, `complete` ones everything; `verified` ones were hashed since they
    were last loaded. `last_good` is the version of each deployment that has passed its probation. `failing` says of
    pipelines that answer no frame why, by name; `unusable` are the captured sources that cannot give any. `serving`:
    the serving process takes clients, who are answered from the `offered` sessions. `standing` says what
    loaded sessions run on, by key. `verdicts` are what is thought of versions that are not the last good ones, `vitals`
    how what serves does, both by deployment.
    """

    known: frozenset[Digest] = frozenset()
    complete: frozenset[Digest] = frozenset()
    held: Mapping[Digest, Held] = field(default_factory=dict)
    """what complete bundles take on the disk"""
    verified: frozenset[Digest] = frozenset()
    choices: Mapping[ChoiceKey, Choice | NoChoice] = field(default_factory=dict)
    worker: bool = False
    sessions: frozenset[Session] = frozenset()
    captures: frozenset[str] = frozenset()
    pipelines: Mapping[str, RunningPipeline] = field(default_factory=dict)
    last_good: Mapping[str, DesiredDeployment] = field(default_factory=dict)
    failing: Mapping[str, str] = field(default_factory=dict)
    unusable: frozenset[str] = frozenset()
    failures: Mapping[str, Failure] = field(default_factory=dict)
    serving: bool = False
    offered: Mapping[Session, Offered] = field(default_factory=dict)
    standing: Mapping[str, SessionStatus] = field(default_factory=dict)
    shadows: Mapping[str, ShadowStanding] = field(default_factory=dict)
    """by deployment"""
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    vitals: Mapping[str, Vitals] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What else the plan may know. `now` is monotonic, in seconds; `sources` are those of the configuration."""

    now: float
    sources: frozenset[str] = frozenset()
    coordinator: bool = False
    """whether an address to fetch from is known"""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """what is wrong with captured sources, by name; see `sources`"""
    quota_bytes: int = 0
    """what all bundles may take on the disk before those go that nothing needs"""
    free_bytes: int | None = None
    """of the disk; None: nobody knows"""
    serve: bool | None = None
    """whether clients are served: never, always, or as the deployment says"""
    processes: bool = True
    """whether models run in processes of their own, or in threads of the agent"""
