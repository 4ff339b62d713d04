"""What the node reports of versions on trial: what of it, and how often. Pure, but for `Telling`, which remembers."""

from collections.abc import Callable, Mapping

from edge_node.supervisor.actual import Actual
from edge_node.supervisor.intent import chosen_session, serving_session, verdict_of
from edge_node.supervisor.measuring import Measured
from edge_node.telemetry.shifts import shift_of
from protos.desired import Desired, DesiredDeployment
from protos.egress_fields import LONGEST_LINE
from protos.evidence import ReportedTrial, Trial

LEAST_REPORT_S = 1.0


def trial_reported(target: DesiredDeployment, actual: Actual, measured: Measured | None) -> ReportedTrial | None:
    """How the version that a deployment has on trial does; None without a trial, or before it serves.

    Args:
        target: the deployment.
        actual: what the node has and does.
        measured: of that version, None where it has not served.
    """
    trial, verdict = target.trial, verdict_of(target, actual)
    if trial is None or verdict is None or (verdict.state == "on" and not _serves(target, actual)):
        return None
    known = measured or Measured("", 0, 0.0, (), ())
    session = chosen_session(target, actual)
    standing = None if session is None else actual.standing.get(session.key)
    return ReportedTrial(
        rollout=trial.rollout,
        attempt=trial.attempt,
        state=verdict.state,
        since=known.since,
        reason=verdict.reason[:LONGEST_LINE],
        restarts=known.restarts,
        memory_mb=known.memory_mb,
        fell="" if standing is None else standing.fell[:LONGEST_LINE],
        evidence=known.evidence,
        reference=known.reference,
    )


def is_news(said: ReportedTrial | None, now: ReportedTrial) -> bool:
    """Whether it is to be said at once: more than that counts have grown."""
    return said is None or _without_counts(said) != _without_counts(now)


def pause_s(trial: Trial, jitter: float) -> float:
    """How long to say nothing new of counts; `jitter` 0..1 spreads a fleet over a quarter of it."""
    return max(trial.report_s, LEAST_REPORT_S) * (1 - jitter / 4)


def shifts_now(desired: Desired | None, minute: int) -> dict[str, str]:
    """The shift of each deployment on trial, at a minute of the node's own day."""
    targets = () if desired is None else desired.deployments
    return {one.name: shift_of(one.trial.shifts, minute) for one in targets if one.trial is not None}


class Telling:
    """What was last said of each deployment's trial; counts are said again after a pause.

    Args:
        clock: monotonic, in seconds.
        jitter: a number 0..1, drawn anew each time.
    """

    def __init__(self, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock, self._jitter = clock, jitter
        self._said: dict[str, tuple[ReportedTrial, float]] = {}

    def told(self, target: DesiredDeployment, now: ReportedTrial | None) -> ReportedTrial | None:
        """What is said of a deployment's trial at this moment."""
        if now is None or target.trial is None:
            self._said.pop(target.name, None)
            return None
        said, again_at = self._said.get(target.name, (None, 0.0))
        if said is not None and not is_news(said, now) and self._clock() < again_at:
            return said
        self._said[target.name] = now, self._clock() + pause_s(target.trial, self._jitter())
        return now


def _serves(target: DesiredDeployment, actual: Actual) -> bool:
    session = serving_session(target, actual)
    return session is not None and session.digest == target.digest


def _without_counts(trial: ReportedTrial) -> Mapping[str, object]:
    return {
        field: getattr(trial, field) for field in ("rollout", "attempt", "state", "since", "reason", "restarts", "fell")
    }
