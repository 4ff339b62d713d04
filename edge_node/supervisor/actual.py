"""Actual state: what is on the disk, proven, loaded, running, and what failed: a frozen snapshot for the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_node.engine.select import Choice, NoChoice
from protos.deployment import Pipeline
from protos.desired import DesiredDeployment
from protos.digest import Digest, short

ChoiceKey = tuple[Digest, str | None]
"""A bundle and the variant that its deployment pins, if it pins one."""


@dataclass(frozen=True)
class Session:
    """A variant of a model version, loaded or to be loaded."""

    model: str
    version: int
    digest: Digest
    variant: str

    @property
    def key(self) -> str:
        """What the worker calls it."""
        return f"{self.model}@{self.version}/{short(self.digest)}/{self.variant}"


@dataclass(frozen=True)
class RunningPipeline:
    """A pipeline that the worker runs. `since` is when it came to this session, in the seconds of `Facts.now`."""

    deployment: str
    settings: Pipeline
    session: Session
    since: float


@dataclass(frozen=True)
class Failure:
    """What went wrong with one subject, how often in a row, and when it may be tried again (`Facts.now`)."""

    reason: str
    attempts: int
    retry_at: float


@dataclass(frozen=True)
class Actual:
    """Everything that the node has and does.

    `known` bundles have something on the disk, `complete` ones everything; `verified` ones were hashed since they
    were last loaded. `last_good` is the version of each deployment that has passed its probation. `failing` says of
    pipelines that answer no frame why, by name; `unusable` are the captured sources that cannot give any.
    """

    known: frozenset[Digest] = frozenset()
    complete: frozenset[Digest] = frozenset()
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


@dataclass(frozen=True)
class Facts:
    """What else the plan may know. `now` is monotonic, in seconds; `sources` are those of the configuration."""

    now: float
    sources: frozenset[str] = frozenset()
    coordinator: bool = False
    """whether an address to fetch from is known"""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """what is wrong with captured sources, by name; see `sources`"""
