"""The steps of a plan, as data. What each does to the world stands in one table, in `executor.py`.

Every step of a plan may be begun at once. `subjects` are what a step works on: two steps that share one are never under
way together. The first subject is the one that a failure is remembered by. Every step may be repeated without harm.
"""

from dataclasses import dataclass
from typing import ClassVar

from edge_node.supervisor.actual import RunningPipeline, Session
from edge_node.supervisor.verdict import Verdict
from protos.deployment import Pipeline
from protos.desired import DesiredDeployment
from protos.digest import Digest, short

WORKER = "worker"
SERVING = "serving"
BUNDLE = "bundle"
LAST_GOOD = "last_good.json"
VERDICTS = "verdicts.json"


def bundle_subject(digest: Digest) -> str:
    """The subject of steps on a bundle."""
    return f"{BUNDLE} {short(digest)}"


def session_subject(session: Session) -> str:
    """The subject of steps on a session."""
    return f"session {session.key}"


def offer_subjects(session: Session) -> tuple[str, ...]:
    """The subjects of steps on a session as clients see it."""
    return (f"clients of {session.key}", f"clients of {session.model}", session_subject(session))


def pipeline_subject(name: str) -> str:
    """The subject of steps on a pipeline."""
    return f"pipeline {name}"


def capture_subject(source: str) -> str:
    """The subject of steps on a source's capture."""
    return f"capture {source}"


@dataclass(frozen=True)
class Step:
    """Something to do for a deployment; an empty name where it is for none any more."""

    deployment: str
    verb: ClassVar[str] = ""

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the step works on."""
        return (f"deployment {self.deployment}",)

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.verb} {self.subjects[0]}"


@dataclass(frozen=True)
class BundleStep(Step):
    """A step on a bundle."""

    digest: Digest

    @property
    def subjects(self) -> tuple[str, ...]:
        """The bundle."""
        return (bundle_subject(self.digest),)


@dataclass(frozen=True)
class VersionStep(BundleStep):
    """A step on a bundle as a version of a model: it must have been released as that."""

    model: str
    version: int


@dataclass(frozen=True)
class Fetch(VersionStep):
    """Bring a bundle here, or what is missing of it."""

    verb: ClassVar[str] = "fetch"


@dataclass(frozen=True)
class Verify(VersionStep):
    """Check a bundle's release, hash every byte of it, and make the folder that workers open."""

    verb: ClassVar[str] = "verify"


@dataclass(frozen=True)
class Remove(BundleStep):
    """Delete a bundle that nothing needs."""

    verb: ClassVar[str] = "remove"


@dataclass(frozen=True)
class Prove(BundleStep):
    """Run the golden vectors on this device and choose a variant, or try the pinned one."""

    variant: str | None
    verb: ClassVar[str] = "prove"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The bundle; one proof at a time, since two would spoil each other's latency."""
        return (bundle_subject(self.digest), "proving")


@dataclass(frozen=True)
class StartWorker(Step):
    """Start the worker."""

    verb: ClassVar[str] = "start"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The worker."""
        return (WORKER,)


@dataclass(frozen=True)
class StopWorker(StartWorker):
    """End a worker that holds nothing."""

    verb: ClassVar[str] = "stop"


@dataclass(frozen=True)
class SessionStep(Step):
    """A step on a session."""

    session: Session

    @property
    def subjects(self) -> tuple[str, ...]:
        """The session and its bundle; the worker must not go away meanwhile."""
        return (session_subject(self.session), bundle_subject(self.session.digest), WORKER)


@dataclass(frozen=True)
class Load(SessionStep):
    """Load and warm a session beside what is loaded."""

    verb: ClassVar[str] = "load"


@dataclass(frozen=True)
class Unload(SessionStep):
    """Close a session that no pipeline uses."""

    verb: ClassVar[str] = "unload"


@dataclass(frozen=True)
class PipelineStep(Step):
    """A step on a pipeline that is to run on a session."""

    settings: Pipeline
    session: Session

    @property
    def subjects(self) -> tuple[str, ...]:
        """The pipeline, its session and its source."""
        name, source = self.settings.name, self.settings.source
        return (pipeline_subject(name), session_subject(self.session), capture_subject(source))


@dataclass(frozen=True)
class StartPipeline(PipelineStep):
    """Start a pipeline on a loaded session."""

    verb: ClassVar[str] = "start"


@dataclass(frozen=True)
class Switch(PipelineStep):
    """Move a running pipeline to another session or other settings, between two frames."""

    verb: ClassVar[str] = "switch"


@dataclass(frozen=True)
class StopPipeline(Step):
    """Finish the frame in work and stop."""

    running: RunningPipeline
    verb: ClassVar[str] = "stop"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The pipeline and its session."""
        return (pipeline_subject(self.running.settings.name), session_subject(self.running.session))


@dataclass(frozen=True)
class StartServing(Step):
    """Start the process that answers clients."""

    verb: ClassVar[str] = "start"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The serving process."""
        return (SERVING,)


@dataclass(frozen=True)
class StopServing(StartServing):
    """End a serving process that has nothing to answer from."""

    verb: ClassVar[str] = "stop"


@dataclass(frozen=True)
class Offer(Step):
    """Answer clients from a loaded session: it takes the place of what is offered of the same version."""

    session: Session
    verb: ClassVar[str] = "offer"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The session as clients see it, its model, the session itself; the serving process must not end meanwhile."""
        return (*offer_subjects(self.session), SERVING)


@dataclass(frozen=True)
class Withdraw(Step):
    """Have clients' last answers leave a session, which takes no more of them."""

    session: Session
    verb: ClassVar[str] = "withdraw"

    @property
    def subjects(self) -> tuple[str, ...]:
        """As those of an offer; but others are offered while answers leave."""
        return offer_subjects(self.session)


@dataclass(frozen=True)
class CaptureStep(Step):
    """A step on a source's capture."""

    source: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """The capture."""
        return (capture_subject(self.source),)


@dataclass(frozen=True)
class StartCapture(CaptureStep):
    """Start decoding a source."""

    verb: ClassVar[str] = "start"


@dataclass(frozen=True)
class StopCapture(CaptureStep):
    """Stop decoding a source that no pipeline looks at."""

    verb: ClassVar[str] = "stop"


@dataclass(frozen=True)
class LastGoodStep(Step):
    """A step on what a deployment may fall back on."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The deployment, and the one file that holds the versions of all."""
        return (*super().subjects, LAST_GOOD)


@dataclass(frozen=True)
class Promote(LastGoodStep):
    """Remember a version as the one to fall back on."""

    version: DesiredDeployment
    verb: ClassVar[str] = "promote"


@dataclass(frozen=True)
class Forget(LastGoodStep):
    """Forget the version to fall back on of a deployment that is no longer wanted."""

    verb: ClassVar[str] = "forget"


@dataclass(frozen=True)
class Judge(Step):
    """Keep what is thought of a deployment's version, or that nothing is any more."""

    verdict: Verdict | None
    verb: ClassVar[str] = "judge"

    @property
    def subjects(self) -> tuple[str, ...]:
        """The deployment, and the one file that holds the verdicts on all."""
        return (*super().subjects, VERDICTS)

    def __str__(self) -> str:
        """One line for a person."""
        if self.verdict is None:
            return f"{super().__str__()}: no verdict any more"
        reason = f": {self.verdict.reason}" if self.verdict.reason else ""
        return f"{super().__str__()}: {self.verdict.state}{reason}"


@dataclass(frozen=True)
class Wait(Step):
    """Nothing can be done for now: why, and until when (`Facts.now`) where time alone will help."""

    reason: str
    until: float | None = None
    failed: bool = False
    verb: ClassVar[str] = "wait"

    def __str__(self) -> str:
        """One line for a person."""
        return f"wait: {self.reason}"
