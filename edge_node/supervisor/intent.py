"""What one deployment wants now: the next step towards its version, and the session that serves until then. Pure.

The rules:
- What is missing is fetched, verified, proven and loaded beside what serves; then the pipelines switch.
- Until then what runs goes on; where nothing runs and the version cannot come soon, the last good one is loaded.
- A version that is loaded and answers no frame is relieved by the last good one, as long as a failed step would wait.
- With the strategy "stop_first" what serves is stopped and unloaded before the new version is proven and loaded, and
  comes back where that fails.
"""

from dataclasses import dataclass

from edge_node.engine.select import NoChoice
from edge_node.supervisor.actual import Actual, Facts, Session
from edge_node.supervisor.steps import Fetch, Load, Prove, StartWorker, Step, Verify, Wait, session_subject
from protos.desired import DesiredDeployment


@dataclass(frozen=True)
class Intent:
    """What a deployment wants.

    `ahead` leads to its version or to the last good one; `session` is loaded and serves its pipelines, None for none;
    `keep` are the sessions that it needs; `alone`: `ahead` has to wait until all others are unloaded.
    """

    target: DesiredDeployment
    ahead: tuple[Step, ...]
    session: Session | None
    keep: frozenset[Session]
    alone: bool = False


def intent(target: DesiredDeployment, actual: Actual, facts: Facts) -> Intent:
    """What a deployment wants, given what there is."""
    ahead = toward(target, actual, facts)
    own = chosen_session(target, actual)
    wanted = frozenset() if own is None else frozenset({own})
    if ahead is None:
        return _relieved(target, own, actual, facts) or Intent(target, (), own, wanted)
    if target.strategy == "stop_first" and isinstance(ahead, StartWorker | Prove | Load):
        return Intent(target, (ahead,), None, wanted, alone=True)
    serving = serving_session(target, actual)
    if serving is not None:
        return Intent(target, (ahead,), serving, wanted | {serving})
    return _falling_back(target, ahead, wanted, actual, facts)


def toward(target: DesiredDeployment, actual: Actual, facts: Facts) -> Step | None:
    """The next step to have the version loaded, None when it is; a wait where the step failed a moment ago."""
    step = _next_step(target, actual, facts)
    return None if step is None else held_back(step, actual, facts)


def held_back(step: Step, actual: Actual, facts: Facts) -> Step:
    """The step itself, or a wait where it may not be tried again yet."""
    failure = actual.failures.get(step.subjects[0])
    if isinstance(step, Wait) or failure is None or failure.retry_at <= facts.now:
        return step
    return Wait(step.deployment, failure.reason, until=failure.retry_at, failed=True)


def chosen_session(target: DesiredDeployment, actual: Actual) -> Session | None:
    """The session of the variant that serves the version on this device, None before it is proven."""
    choice = actual.choices.get((target.digest, target.variant))
    if choice is None or isinstance(choice, NoChoice):
        return None
    serving = target.serving if target.serving is not None and target.serving.enabled else None
    return Session(target.model, target.version, target.digest, choice.proof.file, serving)


def serving_session(target: DesiredDeployment, actual: Actual) -> Session | None:
    """The session that runs pipelines of this deployment now or answers its clients, None where none does."""
    sessions = [running.session for running in actual.pipelines.values() if running.deployment == target.name]
    offered = (session for session, one in actual.offered.items() if one.deployment == target.name and one.connected)
    return min(sessions or offered, key=lambda session: session.key, default=None)


def _next_step(target: DesiredDeployment, actual: Actual, facts: Facts) -> Step | None:
    name, digest = target.name, target.digest
    version = (name, digest, target.model, target.version)
    session = chosen_session(target, actual)
    if session in actual.sessions:
        return None
    if digest not in actual.complete:
        return Fetch(*version) if facts.coordinator else Wait(name, "no coordinator to fetch the model from yet")
    if digest not in actual.verified:
        return Verify(*version)
    if session is None:
        refused = actual.choices.get((digest, target.variant))
        return Prove(name, digest, target.variant) if refused is None else Wait(name, refused.reason, failed=True)
    return Load(name, session) if actual.worker else StartWorker(name)


def _relieved(target: DesiredDeployment, own: Session | None, actual: Actual, facts: Facts) -> Intent | None:
    """The version is loaded and fails: have the last good one serve for a while; None where all is well or no other is
    there."""
    failure = None if own is None else actual.failures.get(session_subject(own))
    good = actual.last_good.get(target.name)
    if own is None or failure is None or failure.retry_at <= facts.now or target.strategy == "stop_first":
        return None
    if good is None or good.digest == target.digest:
        return None
    waits = Wait(target.name, failure.reason, until=failure.retry_at, failed=True)
    behind, session = toward(good, actual, facts), chosen_session(good, actual)
    kept = frozenset({own}) if session is None else frozenset({own, session})
    return Intent(target, (waits,), session, kept) if behind is None else Intent(target, (waits, behind), own, kept)


def _falling_back(
    target: DesiredDeployment, ahead: Step, wanted: frozenset[Session], actual: Actual, facts: Facts
) -> Intent:
    """Nothing runs: have the last good version serve, unless the new one is about to be loaded."""
    good = actual.last_good.get(target.name)
    soon = isinstance(ahead, Verify | StartWorker | Load)
    if good is None or good.digest == target.digest or soon:
        return Intent(target, (ahead,), None, wanted)
    behind = toward(good, actual, facts)
    session = chosen_session(good, actual)
    kept = wanted if session is None else wanted | {session}
    if behind is None:
        return Intent(target, (ahead,), session, kept)
    return Intent(target, (ahead, behind), None, kept)
