"""What the steps of a shadow do to the world; see `effects`.

What a candidate fails of ends its shadow and is not an error of the step: nothing else is to be held back by it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from edge_node.engine.ladder import known_rungs, ladder_of
from edge_node.engine.select import Choice
from edge_node.errors import WorkerFailed
from edge_node.supervisor import shadow_steps as steps
from edge_node.supervisor.actual import RunningPipeline
from edge_node.supervisor.device import Device
from edge_node.supervisor.shadows import Run, close
from edge_node.supervisor.steps import Step
from edge_node.worker.giving_way import give_way, go_first
from edge_node.worker.messages import Budget, PipelineRun, Worker
from protos.bundle import MANIFEST, parse_manifest


async def begin_shadow(device: Device, step: steps.BeginShadow) -> None:
    """Load the candidate in a worker of its own, from bytes that were hashed for this load."""
    device.verified.discard(step.session.digest)
    assert device.new_candidate is not None, "the plan begins none where there is no process for it"
    run = Run(step.shadow, device.new_candidate(step.shadow.memory_mb), step.session)
    try:
        await _load(device, run)
    except WorkerFailed as error:
        await close(run)
        device.shadows.fail(step.deployment, run, str(error))
    except BaseException:
        await close(run)
        raise
    else:
        device.shadows.begin(step.deployment, run)


async def follow_pipelines(device: Device, step: steps.FollowPipelines) -> None:
    """Have the candidate watch what runs."""
    run = device.shadows.runs.get(step.deployment)
    if run is None or run.worker is None:
        return
    try:
        await _follow(device, run, run.worker, step.pipelines)
    except WorkerFailed as error:
        if not run.failed:
            device.shadows.fail(step.deployment, run, str(error))


async def fail_shadow(device: Device, step: steps.FailShadow) -> None:
    """Remember why."""
    device.shadows.fail(step.deployment, Run(step.shadow), step.reason)


async def close_shadow(device: Device, step: steps.CloseShadow) -> None:
    """End the worker; why it failed stays known."""
    run = device.shadows.runs.get(step.deployment)
    if run is not None:
        await close(run)


async def end_shadow(device: Device, step: steps.EndShadow) -> None:
    """End the worker and forget; a candidate that failed may be tried again."""
    await close_shadow(device, steps.CloseShadow(step.deployment))
    run = device.shadows.runs.pop(step.deployment, None)
    if run is not None and run.failed:
        device.forgive(run.shadow.digest)


Effect = Callable[[Device, Any], Awaitable[None]]

SHADOW_EFFECTS: dict[type[Step], Effect] = {
    steps.BeginShadow: begin_shadow,
    steps.FollowPipelines: follow_pipelines,
    steps.FailShadow: fail_shadow,
    steps.CloseShadow: close_shadow,
    steps.EndShadow: end_shadow,
}


async def _load(device: Device, run: Run) -> None:
    assert run.worker is not None
    assert run.session is not None
    choice = device.choices.valid().get((run.shadow.digest, run.shadow.variant))
    if not isinstance(choice, Choice):
        raise WorkerFailed(f"{run.session.variant} is not proven any more")
    folder = device.bundles.folder(run.shadow.digest)
    run.task = str(parse_manifest(await asyncio.to_thread((folder / MANIFEST).read_text, "utf-8")).task)
    await run.worker.start_worker()
    give_way(run.worker.pid)
    rungs = ladder_of(choice.ladder, known_rungs(device.engines))
    # What loading took when it was proven says nothing here: it gives way, and may take as long as any load.
    await run.worker.load(run.session.key, folder, run.session.variant, device.threads, 1, rungs)
    go_first(run.worker.pid)


async def _follow(device: Device, run: Run, worker: Worker, wanted: tuple[RunningPipeline, ...]) -> None:
    """Stop what is watched otherwise, start what is not watched yet."""
    for before in run.follows:
        if before not in wanted:
            await worker.stop(before.settings.name)
    kept = tuple(one for one in run.follows if one in wanted)
    run.follows = kept
    for one in wanted:
        if one not in kept:
            await worker.start(_run(device, run, one))
            device.shadows.compares(run, (*run.follows, one))
    device.shadows.compares(run, wanted)


def _run(device: Device, run: Run, watched: RunningPipeline) -> PipelineRun:
    """The candidate's pipeline, of the same name and with the same options.

    Raises:
        WorkerFailed: it cannot be watched, or the two versions cannot be compared.
    """
    settings, current = watched.settings, device.loaded.get(watched.session.key)
    capture = device.captures.get(settings.source)
    if capture is None:
        raise WorkerFailed(f"source {settings.source!r} is not being captured")
    if current is not None and current.task != run.task:
        raise WorkerFailed(f"the candidate's task is {run.task}, the current version's {current.task}")
    assert run.session is not None
    return PipelineRun(
        name=settings.name,
        session=run.session.key,
        source=str(capture.socket),
        fps=settings.fps,
        top_k=settings.top_k,
        score_threshold=settings.score_threshold,
        threshold=settings.threshold,
        shadow=Budget(run.shadow.share, run.shadow.cpu),
    )
