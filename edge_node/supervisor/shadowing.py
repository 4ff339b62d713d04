"""What running a candidate beside the current version takes next. Pure.

The candidate comes as a version does: fetched, its release checked, verified, proven. Then it is loaded in a worker of
its own, where it can crash, hang and grow without harm to what serves, and watches the pipelines that run. It never
serves, is never promoted and raises no floor. What it cannot do ends it, until the document asks for another one: for
another version or attempt, or on other terms.
"""

from collections.abc import Iterable
from dataclasses import replace

from edge_node.supervisor.actual import Actual, Facts, RunningPipeline
from edge_node.supervisor.intent import held_back, next_step
from edge_node.supervisor.shadow_steps import (
    BeginShadow,
    CloseShadow,
    EndShadow,
    FailShadow,
    FollowPipelines,
    shadow_subject,
)
from edge_node.supervisor.steps import Load, Prove, Step, Wait
from protos.desired import DesiredDeployment
from protos.digest import Digest
from protos.evidence import Shadow

NEEDS_PROCESS = 'a shadow needs isolation = "process": in a thread a candidate that crashes would take the node with it'
NEEDS_PIPELINE = "the deployment has no pipeline: there are no frames to compare answers to"


def shadowing(target: DesiredDeployment, actual: Actual, facts: Facts) -> tuple[Step, ...]:
    """The steps of a deployment's shadow that can be begun now, and what is waited for."""
    stands, wanted = actual.shadows.get(target.name), target.shadow
    if stands is not None and stands.shadow != wanted:
        return (EndShadow(target.name),)
    if wanted is None:
        return ()
    if stands is not None and stands.failed:
        return () if stands.session is None else (CloseShadow(target.name),)
    if stands is None:
        return (_toward(target, wanted, actual, facts),)
    watched = watchable(target, actual)
    if watched != stands.follows:
        return (FollowPipelines(target.name, watched),)
    return (Wait(shadow_subject(target.name), _what(wanted), until=stands.tell_at),)


def abandoned(deployments: frozenset[str], actual: Actual) -> tuple[Step, ...]:
    """End the shadows of deployments that are gone."""
    return tuple(EndShadow(name) for name in sorted(actual.shadows.keys() - deployments))


def candidates(deployments: Iterable[DesiredDeployment], actual: Actual) -> frozenset[Digest]:
    """The bundles that shadows stand on or are to stand on."""
    wanted = {target.shadow.digest for target in deployments if target.shadow is not None}
    return frozenset(wanted | {stands.shadow.digest for stands in actual.shadows.values()})


def watchable(target: DesiredDeployment, actual: Actual) -> tuple[RunningPipeline, ...]:
    """The pipelines of the deployment that run now, by name."""
    running = actual.pipelines.items()
    return tuple(one for _, one in sorted(running, key=lambda item: item[0]) if one.deployment == target.name)


def _toward(target: DesiredDeployment, wanted: Shadow, actual: Actual, facts: Facts) -> Step:
    """The next step to have the candidate loaded."""
    name = target.name
    if refusal := _refusal(target, facts):
        return FailShadow(name, wanted, refusal)
    if not watchable(target, actual):
        return Wait(shadow_subject(name), "waits for the current version to run")
    candidate = DesiredDeployment(name, wanted.model, wanted.version, wanted.digest, (), variant=wanted.variant)
    step = next_step(candidate, replace(actual, worker=True, sessions=frozenset()), facts)
    if isinstance(step, Load):
        return BeginShadow(name, wanted, step.session)
    assert step is not None, "without a worker's sessions there is always something to load"
    tried = held_back(step, actual, facts)
    if not isinstance(tried, Wait):
        return tried
    if tried.failed and (tried is step or _is_final(step, actual)):
        return FailShadow(name, wanted, tried.reason)
    return Wait(shadow_subject(name), tried.reason, tried.until)


def _is_final(step: Step, actual: Actual) -> bool:
    """Whether a step that failed says something of the candidate: its proof did, or the node refuses it."""
    failure = actual.failures.get(step.subjects[0])
    return isinstance(step, Prove) or (failure is not None and failure.refused)


def _refusal(target: DesiredDeployment, facts: Facts) -> str:
    if not facts.processes:
        return NEEDS_PROCESS
    return "" if target.pipelines else NEEDS_PIPELINE


def _what(wanted: Shadow) -> str:
    return f"version {wanted.version} runs beside it as a shadow of rollout {wanted.rollout}"
