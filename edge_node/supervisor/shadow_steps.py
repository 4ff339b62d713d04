"""The steps that have a candidate run beside the current version, as data; see `steps`."""

from dataclasses import dataclass, field
from typing import ClassVar

from edge_node.supervisor.actual import RunningPipeline, Session
from edge_node.supervisor.steps import Step, bundle_subject
from protos.evidence import Shadow


def shadow_subject(deployment: str) -> str:
    """The subject of steps on a deployment's shadow, and what its waits are said of."""
    return f"{deployment}/shadow"


@dataclass(frozen=True)
class ShadowStep(Step):
    """A step on a deployment's shadow."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The shadow."""
        return (shadow_subject(self.deployment),)


@dataclass(frozen=True)
class BeginShadow(ShadowStep):
    """Load the candidate in a worker of its own."""

    shadow: Shadow = field(hash=False)
    session: Session
    verb: ClassVar[str] = "begin"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The shadow and the candidate's bundle; one candidate is loaded at a time."""
        return (*super().subjects, bundle_subject(self.session.digest), "loading a candidate")


@dataclass(frozen=True)
class FollowPipelines(ShadowStep):
    """Have the candidate watch these pipelines of the current version, and no others."""

    pipelines: tuple[RunningPipeline, ...]
    verb: ClassVar[str] = "aim"


@dataclass(frozen=True)
class FailShadow(ShadowStep):
    """Remember why the candidate cannot run beside the current version; it is not tried again."""

    shadow: Shadow = field(hash=False)
    reason: str
    verb: ClassVar[str] = "fail"

    def __str__(self) -> str:
        """One line for a person."""
        return f"{super().__str__()}: {self.reason}"


@dataclass(frozen=True)
class CloseShadow(ShadowStep):
    """End the worker of a candidate that failed."""

    verb: ClassVar[str] = "close"


@dataclass(frozen=True)
class EndShadow(ShadowStep):
    """End the candidate's worker and forget what it was compared with."""

    verb: ClassVar[str] = "end"
