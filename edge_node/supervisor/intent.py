"""What one deployment wants now: the next step towards its version, and the session that serves until then. Pure.

The rules:
- What is missing is fetched, verified, proven and loaded beside what serves; then the pipelines switch.
- Until then what runs goes on; where nothing runs and the version cannot come soon, the last good one is loaded.
- A version that was sent back (`probation.py`) is not gone for again: the last good one serves instead.
- With the strategy "stop_first" what serves is stopped and unloaded before the new version is proven and loaded, and
  comes back where that fails, in the same way.
"""

from dataclasses import dataclass

from edge_node.engine.select import NoChoice
from edge_node.supervisor.actual import Actual, Facts, Session
from edge_node.supervisor.steps import Fetch, Load, Prove, StartWorker, Step, Verify, Wait
from edge_node.supervisor.verdict import Verdict, counts
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
    if sent_back(target, actual):
        return _going_back(target, actual, facts)
    ahead = toward(target, actual, facts)
    own = chosen_session(target, actual)
    wanted = frozenset() if own is None else frozenset({own})
    if ahead is None:
        return Intent(target, (), own, wanted)
    if target.strategy == "stop_first" and isinstance(ahead, StartWorker | Prove | Load):
        return Intent(target, (ahead,), None, wanted, alone=True)
    serving = serving_session(target, actual)
    if serving is not None:
        return Intent(target, (ahead,), serving, wanted | {serving})
    return _falling_back(target, ahead, wanted, actual, facts)


def toward(target: DesiredDeployment, actual: Actual, facts: Facts) -> Step | None:
    """The next step to have the version loaded, None when it is; a wait where the step failed a moment ago."""
    step = next_step(target, actual, facts)
    return None if step is None else held_back(step, actual, facts)


def verdict_of(target: DesiredDeployment, actual: Actual) -> Verdict | None:
    """What is thought of the version that a deployment asks for, None where nothing is yet."""
    verdict = actual.verdicts.get(target.name)
    return verdict if counts(verdict, target) else None


def sent_back(target: DesiredDeployment, actual: Actual) -> bool:
    """Whether the version was sent back, and is not to be tried again as it is asked for; never the last good one."""
    verdict, good = verdict_of(target, actual), actual.last_good.get(target.name)
    is_good = good is not None and good.digest == target.digest
    return verdict is not None and verdict.state == "returned" and not is_good


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


def next_step(target: DesiredDeployment, actual: Actual, facts: Facts) -> Step | None:
    """As `toward`, also where it failed a moment ago."""
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


def _going_back(target: DesiredDeployment, actual: Actual, facts: Facts) -> Intent:
    """The version was sent back: have the last good one serve; what runs goes on until that is loaded.

    With the strategy "stop_first" there is no room for both: what runs goes first.
    """
    verdict, good = actual.verdicts[target.name], actual.last_good.get(target.name)
    why = Wait(target.name, verdict.reason, failed=True)
    if good is None:
        return Intent(target, (why,), None, frozenset())
    behind, session = toward(good, actual, facts), chosen_session(good, actual)
    kept = frozenset() if session is None else frozenset({session})
    if behind is None:
        return Intent(target, (why,), session, kept)
    if target.strategy == "stop_first" and isinstance(behind, StartWorker | Prove | Load):
        return Intent(target, (why, behind), None, kept, alone=True)
    serving = serving_session(target, actual)
    return Intent(target, (why, behind), serving, kept if serving is None else kept | {serving})


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
