"""What becomes of a version in service: it is judged, promoted, or sent back. Pure.

- It has to serve every pipeline of its deployment for a while, answering frames and without the worker dying of it;
  where there are no pipelines, to be offered to clients for as long. Then it has passed.
- On trial it is not promoted: the version before stays the one to fall back on until a document without the trial.
- A fault sends it back, as long as it is on trial or probation, where there is a last good version to go back to. The
  first version of a deployment has none: there is nothing better.

What a fault is while it serves is `watch.py`; here is what is wrong with one that does not come to serve.
"""

from edge_node.engine.select import NoChoice
from edge_node.supervisor.actual import Actual, Facts, Session
from edge_node.supervisor.intent import chosen_session, sent_back, verdict_of
from edge_node.supervisor.steps import Judge, Promote, Step, Wait, bundle_subject, session_subject
from edge_node.supervisor.verdict import Verdict, attempt_of, settled
from edge_node.supervisor.watch import Terms, fault, terms_of, too_often
from protos.desired import DesiredDeployment

LOOK_S = 1.0
"""How often a version on probation is looked at."""
SELDOM_S = 5.0
"""How often one that has passed is, while its trial lasts."""


def probation(target: DesiredDeployment, actual: Actual, facts: Facts) -> tuple[Step, ...]:
    """The steps that a version's standing asks for now."""
    known, verdict = actual.verdicts.get(target.name), verdict_of(target, actual)
    if sent_back(target, actual):
        return ()
    if not _is_judged(target, actual):
        return _forgotten(target, known is not None) or _pass(target, verdict, actual, facts)
    if verdict is None:
        fresh = Verdict(target.digest, attempt_of(target), "on")
        is_of_another = known is not None and known.digest != target.digest
        return (Judge(target.name, fresh),) if target.digest in actual.complete else _forgotten(target, is_of_another)
    reason = why_back(target, verdict, actual)
    if reason is not None and _falls_back(target, actual):
        return (Judge(target.name, Verdict(target.digest, verdict.attempt, "returned", reason)),)
    return _pass(target, verdict, actual, facts)


def why_back(target: DesiredDeployment, verdict: Verdict, actual: Actual) -> str | None:
    """Why the version has to go; None where it may stay."""
    terms, vitals = terms_of(target), actual.vitals.get(target.name)
    return (
        _does_not_start(target, terms, actual)
        or _answers_nothing(target, actual)
        or (fault(terms, vitals) if vitals is not None and vitals.digest == target.digest else None)
        or too_often(verdict.starts)
    )


def _forgotten(target: DesiredDeployment, is_kept: bool) -> tuple[Step, ...]:
    return (Judge(target.name, None),) if is_kept else ()


def _is_judged(target: DesiredDeployment, actual: Actual) -> bool:
    """Whether a verdict of the version is needed: it is on trial, or there is another one to go back to."""
    return target.trial is not None or _falls_back(target, actual)


def _falls_back(target: DesiredDeployment, actual: Actual) -> bool:
    good = actual.last_good.get(target.name)
    return good is not None and good.digest != target.digest


def _does_not_start(target: DesiredDeployment, terms: Terms, actual: Actual) -> str | None:
    """It was refused, or its proof or its load has failed too often. What fails on the way here is not its fault."""
    choice = actual.choices.get((target.digest, target.variant))
    if isinstance(choice, NoChoice):
        return choice.reason
    session = chosen_session(target, actual)
    if session is None and target.digest not in actual.verified:
        return None
    subject = bundle_subject(target.digest) if session is None else session_subject(session)
    failure = actual.failures.get(subject)
    return failure.reason if failure is not None and failure.attempts > terms.max_restarts else None


def _answers_nothing(target: DesiredDeployment, actual: Actual) -> str | None:
    for pipeline in target.pipelines:
        running = actual.pipelines.get(pipeline.name)
        if pipeline.name in actual.failing and running is not None and running.session.digest == target.digest:
            return f"pipeline {pipeline.name!r} fails: {actual.failing[pipeline.name]}"
    return None


def _pass(target: DesiredDeployment, verdict: Verdict | None, actual: Actual, facts: Facts) -> tuple[Step, ...]:
    """Promote a version that has proved itself in service, or note that it has; wait for one that has not."""
    session = chosen_session(target, actual)
    since = None if session is None else serves_since(target, session, actual)
    if session is None or since is None or _is_good(target, session, actual):
        return ()
    has_passed = verdict is not None and verdict.state == "passed"
    passes_at = since + terms_of(target).healthy_s
    is_first = target.name not in actual.last_good and target.trial is None
    if not (is_first or has_passed or facts.now >= passes_at):
        return (Wait(target.name, _what(target), until=min(passes_at, facts.now + LOOK_S)),)
    if target.trial is None:
        return (Promote(target.name, settled(target)),)
    if verdict is not None and not has_passed:
        return (Judge(target.name, Verdict(verdict.digest, verdict.attempt, "passed")),)
    return (Wait(target.name, f"{_what(target)} {target.trial.rollout}", until=facts.now + SELDOM_S),)


def serves_since(target: DesiredDeployment, session: Session, actual: Actual) -> float | None:
    """Since when a session serves all of its deployment, answering; None where it does not."""
    if not target.pipelines:
        offered = actual.offered.get(session)
        return None if offered is None or not offered.connected else offered.since
    running = [actual.pipelines.get(pipeline.name) for pipeline in target.pipelines]
    since = [pipeline.since for pipeline in running if pipeline is not None and pipeline.session == session]
    if len(since) < len(running) or any(pipeline.name in actual.failing for pipeline in target.pipelines):
        return None
    return max(since)


def _is_good(target: DesiredDeployment, session: Session, actual: Actual) -> bool:
    """Whether it is the last good one already, with nothing to be forgiven."""
    good = actual.last_good.get(target.name)
    return target.trial is None and good == settled(target) and session_subject(session) not in actual.failures


def _what(target: DesiredDeployment) -> str:
    return f"version {target.version} serves; on {'probation' if target.trial is None else 'trial in rollout'}"
