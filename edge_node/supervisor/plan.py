"""The plan: from desired, actual and facts to the steps that can be begun now. Pure; the heart of the agent.

Level-triggered: it knows no events, so that losing or repeating one changes nothing. Carrying out its steps, in any
order, and planning again leads to a plan of nothing but waits. "Why is nothing happening" is answered by printing it.

What a single deployment wants is decided in `intent.py`; here the wants of all are put together: pipelines are started,
switched and stopped, what nobody needs is unloaded and removed. Who answers clients is decided in `offering.py`.
"""

from collections.abc import Iterable, Sequence

from edge_node.store.surplus import surplus
from edge_node.supervisor.actual import Actual, Facts, Session
from edge_node.supervisor.intent import Intent, held_back, intent
from edge_node.supervisor.offering import offering
from edge_node.supervisor.probation import probation
from edge_node.supervisor.shadowing import abandoned, candidates, shadowing
from edge_node.supervisor.sources import ENDED, trouble_text
from edge_node.supervisor.steps import (
    Forget,
    Judge,
    Remove,
    StartCapture,
    StartPipeline,
    Step,
    StopCapture,
    StopPipeline,
    StopWorker,
    Switch,
    Unload,
    Wait,
)
from protos.deployment import Pipeline
from protos.desired import Desired, DesiredDeployment


def plan(desired: Desired | None, actual: Actual, facts: Facts) -> tuple[Step, ...]:
    """The steps that can be begun now, and what is waited for. Without a desired document there is nothing to do."""
    if desired is None:
        return ()
    targets, clashes = without_clashes(desired.deployments)
    intents = [intent(target, actual, facts) for target in targets]
    steps: list[Step] = [*clashes]
    for wanted in intents:
        steps += probation(wanted.target, actual, facts)
        steps += _advance(wanted, intents, actual)
        steps += _serve(wanted, actual, facts)
        steps += shadowing(wanted.target, actual, facts)
    steps += abandoned(frozenset(target.name for target in targets), actual)
    steps += offering(intents, actual, facts)
    steps += _clear(intents, actual, facts)
    steps += _forget(desired.deployments, actual)
    return tuple(dict.fromkeys(held_back(step, actual, facts) for step in steps))


def without_clashes(
    deployments: Sequence[DesiredDeployment],
) -> tuple[tuple[DesiredDeployment, ...], tuple[Wait, ...]]:
    """The deployments that can be carried out side by side, by name, and why the others cannot."""
    kept: list[DesiredDeployment] = []
    refused: list[Wait] = []
    owner: dict[str, str] = {}
    for deployment in sorted(deployments, key=lambda deployment: deployment.name):
        taken = next((pipeline.name for pipeline in deployment.pipelines if pipeline.name in owner), None)
        if taken is not None:
            reason = f"pipeline {taken!r} already belongs to deployment {owner[taken]!r}: rename it in one of them"
            refused.append(Wait(deployment.name, reason, failed=True))
            continue
        owner.update((pipeline.name, deployment.name) for pipeline in deployment.pipelines)
        kept.append(deployment)
    return tuple(kept), tuple(refused)


def _advance(wanted: Intent, intents: Iterable[Intent], actual: Actual) -> tuple[Step, ...]:
    """The steps ahead, unless others have to be unloaded first."""
    needed = frozenset[Session]().union(*(other.keep for other in intents))
    if wanted.alone and not actual.sessions <= needed:
        waits = tuple(step for step in wanted.ahead if isinstance(step, Wait))
        return (*waits, Wait(wanted.target.name, "stops the running version first"))
    return wanted.ahead


def _serve(wanted: Intent, actual: Actual, facts: Facts) -> list[Step]:
    """The steps that bring a deployment's pipelines to the session that serves."""
    if wanted.session is None:
        return []
    steps: list[Step] = []
    for pipeline in wanted.target.pipelines:
        steps += _place(wanted.target.name, pipeline, wanted.session, actual, facts)
    return steps


def _place(deployment: str, pipeline: Pipeline, session: Session, actual: Actual, facts: Facts) -> list[Step]:
    """The steps that bring one pipeline to a session."""
    running = actual.pipelines.get(pipeline.name)
    source = pipeline.source
    if source not in facts.sources:
        return [Wait(deployment, unknown_source(pipeline, facts), failed=True)]
    missing: list[Step] = [] if source in actual.captures else [StartCapture(deployment, source)]
    if running is None:
        return missing or [StartPipeline(deployment, pipeline, session)]
    if running.settings.source != source:
        return missing or [StopPipeline(deployment, running)]
    if (running.settings, running.session, running.deployment) != (pipeline, session, deployment):
        return [*missing, Switch(deployment, pipeline, session)]
    if source in facts.troubles:
        trouble = facts.troubles[source]
        missing.append(Wait(deployment, trouble_text(source, trouble), failed=trouble != ENDED))
    if pipeline.name in actual.failing:
        missing.append(
            Wait(deployment, f"pipeline {pipeline.name!r} fails: {actual.failing[pipeline.name]}", failed=True)
        )
    return missing


def unknown_source(pipeline: Pipeline, facts: Facts) -> str:
    """Why a pipeline cannot run here."""
    known = ", ".join(sorted(facts.sources)) or "none"
    return (
        f"pipeline {pipeline.name!r}: this node has no source {pipeline.source!r} (it has: {known}): "
        "name one of these, or add it to the node's edge-node.toml"
    )


def _clear(intents: Sequence[Intent], actual: Actual, facts: Facts) -> list[Step]:
    """Stop, unload and remove what nobody needs, each once nothing stands on it."""
    placed = {pipeline.name for wanted in intents if wanted.session is not None for pipeline in wanted.target.pipelines}
    stopped = [running for name, running in actual.pipelines.items() if name not in placed]
    steps: list[Step] = [StopPipeline("", running) for running in stopped]
    in_use = {running.session for running in actual.pipelines.values()} | actual.offered.keys()
    needed = in_use.union(*(wanted.keep for wanted in intents))
    steps += [Unload("", session) for session in sorted(actual.sessions - needed, key=lambda session: session.key)]
    steps += [StopCapture("", source) for source in sorted(actual.captures - _looked_at(intents, actual))]
    if actual.worker and not actual.sessions and not any(wanted.keep for wanted in intents):
        steps.append(StopWorker(""))
    return [*steps, *_remove(intents, actual, facts)]


def _looked_at(intents: Sequence[Intent], actual: Actual) -> set[str]:
    """The sources that a pipeline looks at, or will: a film goes on where it was when the worker comes back."""
    wanted = (pipeline.source for one in intents for pipeline in one.target.pipelines)
    return {*wanted, *(running.settings.source for running in actual.pipelines.values())}


def _remove(intents: Sequence[Intent], actual: Actual, facts: Facts) -> list[Step]:
    """Remove bundles that no deployment wants, falls back on, or has loaded, beside what serves too: parts of them at
    once, whole ones where they are beyond the quota.
    """
    needed = {wanted.target.digest for wanted in intents} | {session.digest for session in actual.sessions}
    needed |= candidates([wanted.target for wanted in intents], actual)
    needed |= {actual.last_good[w.target.name].digest for w in intents if w.target.name in actual.last_good}
    beyond = surplus(actual.held, needed, facts.quota_bytes, facts.free_bytes)
    parts = sorted(actual.known - actual.held.keys() - needed)
    return [Remove("", digest) for digest in (*parts, *beyond)]


def _forget(deployments: Sequence[DesiredDeployment], actual: Actual) -> list[Step]:
    """Forget what deployments that are gone could fall back on, and what was thought of their versions."""
    names = {wanted.name for wanted in deployments}
    steps: list[Step] = [Forget(name) for name in sorted(actual.last_good.keys() - names)]
    return [*steps, *(Judge(name, None) for name in sorted(actual.verdicts.keys() - names))]
