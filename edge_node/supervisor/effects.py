"""What each step does to the world: one table from step to effect. Every effect may be repeated without harm.

An effect that fails raises one of `edge_node.errors`, `ContractError` or `OSError` and leaves what was there before.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal

from edge_node.engine.ladder import known_rungs, ladder_of, led_by
from edge_node.engine.select import Choice, choose
from edge_node.errors import Refused, Unreachable, WorkerFailed
from edge_node.repository.offer import Offering, platform_of
from edge_node.repository.offer import offer as offered
from edge_node.repository.tuned import files_digest
from edge_node.repository.tuning import Way
from edge_node.rungs import Rung
from edge_node.serving.control import Batching, Timing
from edge_node.store.admission import admit
from edge_node.store.fetch import fetch_bundle
from edge_node.store.release import Wanted
from edge_node.supervisor import steps
from edge_node.supervisor.actual import Offered, RunningPipeline, Session
from edge_node.supervisor.device import Device, Loaded
from edge_node.supervisor.rounds import proven_in_rounds, rungs_for
from edge_node.supervisor.shadow_effects import SHADOW_EFFECTS
from edge_node.supervisor.steps import session_subject
from edge_node.worker.messages import PipelineRun, Worker
from protos.bundle import MANIFEST, Manifest, parse_manifest
from protos.deployment import Serving
from protos.digest import Digest
from protos.egress import undeclared

log = logging.getLogger(__name__)


async def fetch(device: Device, step: steps.Fetch) -> None:
    """Bring the bundle here, once its release has been checked."""
    if device.fetcher is None:
        raise Unreachable("no coordinator to fetch the model from yet")
    try:
        await _check_release(device, step)
        on_progress = partial(device.on_progress, step.deployment)
        await fetch_bundle(device.bundles, step.digest, device.fetcher, on_progress, memory=device.memory_for_models())
    finally:
        await asyncio.to_thread(device.rescan)


async def verify(device: Device, step: steps.Verify) -> None:
    """Check the release, hash the bundle and look into it: a damaged one is fetched again, a hostile one refused."""
    await _check_release(device, step)
    try:
        await asyncio.to_thread(device.bundles.verify, step.digest)
        await asyncio.to_thread(admit, device.bundles, step.digest)
        device.verified.add(step.digest)
    finally:
        await asyncio.to_thread(device.rescan)


async def remove(device: Device, step: steps.Remove) -> None:
    """Delete the bundle and what was chosen for it."""
    device.verified.discard(step.digest)
    await asyncio.to_thread(device.bundles.remove, step.digest)
    await asyncio.to_thread(device.releases.forget, step.digest)
    device.choices.forget(step.digest)
    await asyncio.to_thread(device.rescan)


async def prove(device: Device, step: steps.Prove) -> None:
    """Try each variant, or the pinned one, and choose."""
    folder = device.bundles.folder(step.digest)
    manifest = await _manifest(device, step.digest)
    wanted = [variant for variant in manifest.variants if step.variant in (None, variant.file)]
    rungs = rungs_for(device.engines, golden=manifest.golden is not None)
    found = await proven_in_rounds(device.new_worker, folder, wanted, device.threads, rungs)
    key = (step.digest, step.variant)
    device.choices.keep(key, choose(found, previous=device.choices.previous(key), pin=step.variant))


async def start_worker(device: Device, _: steps.StartWorker) -> None:
    """Start the worker."""
    if device.worker is not None:
        return
    if device.dead_worker is not None:
        await device.dead_worker.close()
        device.dead_worker = None
    worker = device.new_worker()
    worker.on_observed, worker.on_exit = device.on_observed, device.on_worker_exit
    worker.on_status = device.on_worker_status
    await worker.start_worker()
    device.worker = worker


async def stop_worker(device: Device, _: steps.StopWorker) -> None:
    """End the worker."""
    worker, device.worker = device.worker, None
    if worker is not None:
        await worker.close()


async def load(device: Device, step: steps.Load) -> None:
    """Load and warm the session from bytes that were hashed for this load."""
    device.verified.discard(step.session.digest)
    session, folder = step.session, device.bundles.folder(step.session.digest)
    if session not in device.sessions:
        manifest = await _manifest(device, session.digest)
        choice = _choice(device, session)
        way = way_of(device, session)
        rungs = ladder_of(led_by(choice.ladder, way.engine), known_rungs(device.engines))
        best = rungs[0] if rungs else choice.proof
        device.loaded[session.key] = Loaded(session, best.engine, best.accelerator, str(manifest.task))
        log.info("session %s: %s", session.key, way.text)
        took_ms = await _worker(device).load(
            session.key, folder, way.variant, way.threads, way.instances, rungs, choice.loads_ms
        )
        device.load_s[session.key] = took_ms / 1e3
        device.sessions.add(session)


async def unload(device: Device, step: steps.Unload) -> None:
    """Close the session."""
    if step.session in device.sessions:
        await _worker(device).unload(step.session.key)
        device.sessions.discard(step.session)
        device.load_s.pop(step.session.key, None)


async def start_pipeline(device: Device, step: steps.StartPipeline) -> None:
    """Start the pipeline."""
    if step.settings.name not in device.pipelines:
        await _worker(device).start(_run(device, step))
        _now_runs(device, step)


async def switch(device: Device, step: steps.Switch) -> None:
    """Move the pipeline between two frames."""
    await _worker(device).switch(_run(device, step))
    _now_runs(device, step)


async def stop_pipeline(device: Device, step: steps.StopPipeline) -> None:
    """Finish the frame in work and stop."""
    name = step.running.settings.name
    if name in device.pipelines:
        await _worker(device).stop(name)
        device.pipelines.pop(name, None)


async def start_capture(device: Device, step: steps.StartCapture) -> None:
    """Start decoding the source."""
    if step.source in device.captures:
        return
    capture = device.new_capture(step.source)
    await capture.start()
    device.captures[step.source] = capture


async def stop_capture(device: Device, step: steps.StopCapture) -> None:
    """Stop decoding the source."""
    capture = device.captures.pop(step.source, None)
    if capture is not None:
        await capture.close()
        device.taken_in_before += capture.report.ingress_bytes


async def start_serving(device: Device, _: steps.StartServing) -> None:
    """Start the process that answers clients."""
    if device.serving is not None:
        return
    if device.dead_serving is not None:
        await device.dead_serving.close()
        device.dead_serving = None
    serving = device.new_serving()
    serving.on_exit = device.on_serving_exit
    try:
        device.listening = await serving.start()
    except BaseException:
        await serving.close()
        raise
    device.serving = serving


async def stop_serving(device: Device, _: steps.StopServing) -> None:
    """End it."""
    serving, device.serving = device.serving, None
    if serving is not None:
        await serving.close()


async def offer(device: Device, step: steps.Offer) -> None:
    """Answer clients from the session."""
    serving, session, known = device.serving, step.session, device.offered.get(step.session)
    if serving is None or device.listening is None:
        raise WorkerFailed("the serving process ended meanwhile")
    if known is None or not known.connected:
        begun, relieves = device.clock(), any(one.model == session.model for one in device.offered)
        await offered(
            serving,
            _worker(device),
            device.listening.lanes,
            offering_of(session, way_of(device, session)),
            known=known is not None,
        )
        what: Literal["swap", "cold_start"] = "swap" if relieves else "cold_start"
        took_s = device.clock() - begun + device.load_s.get(session.key, 0.0)
        serving.timing(Timing(session.model, str(session.version), what, took_s))
    device.offered[session] = Offered(step.deployment, device.clock())
    device.measuring.serves(step.deployment, session.digest)


async def withdraw(device: Device, step: steps.Withdraw) -> None:
    """Let clients' last answers leave the session."""
    if device.serving is not None and step.session in device.offered:
        await device.serving.withdraw(step.session.key)
    device.offered.pop(step.session, None)


def offering_of(session: Session, way: Way) -> Offering:
    """What the serving process is told of a session that is loaded in this way."""
    wanted = session.serving or Serving()
    batching = Batching(
        max_batch=way.batch,
        preferred=wanted.preferred,
        delay_us=wanted.delay_us,
        queue=wanted.queue,
        priorities=wanted.priorities,
        default_timeout_us=wanted.default_timeout_us,
    )
    return Offering(session.model, str(session.version), session.key, platform_of(session.variant), batching)


def way_of(device: Device, session: Session) -> Way:
    """As the deployment says it, or where it says nothing as was tuned here for this variant."""
    wanted = session.serving or Serving(instances=1)
    said = Way(session.variant, "", device.threads, wanted.instances, wanted.max_batch)
    if session.serving is None or not device.tuned or (wanted.instances, wanted.max_batch) != (1, 0):
        return said
    kept = device.tuned.of(files_digest({file.path: file.digest for file in device.bundles.files(session.digest)}))
    if kept is None or kept.way.variant != session.variant:
        return said
    return kept.way if Rung(kept.way.engine).name in _choice(device, session).ladder else said  # type: ignore[arg-type]


async def promote(device: Device, step: steps.Promote) -> None:
    """Remember the version, and never go below it again; what its sessions failed of before is forgiven."""
    await asyncio.to_thread(device.releases.raise_floor, step.version)
    device.last_good[step.deployment] = step.version
    sessions = [running.session for running in device.pipelines.values() if running.deployment == step.deployment]
    sessions += [session for session, one in device.offered.items() if one.deployment == step.deployment]
    for session in sessions:
        device.failures.pop(session_subject(session), None)
    await asyncio.to_thread(device.last_good_file.save, dict(device.last_good))


async def judge(device: Device, step: steps.Judge) -> None:
    """Keep the verdict, then go by it, also where it cannot be kept: a full disk must not have a bad version serve."""
    rest = {name: one for name, one in device.verdicts.items() if name != step.deployment}
    after = rest if step.verdict is None else {**rest, step.deployment: step.verdict}
    try:
        await asyncio.to_thread(device.verdict_file.save, after)
    finally:
        device.judge(step.deployment, step.verdict)


async def forget(device: Device, step: steps.Forget) -> None:
    """Forget the version."""
    device.last_good.pop(step.deployment, None)
    device.measuring.drop(step.deployment)
    await asyncio.to_thread(device.last_good_file.save, dict(device.last_good))


Effect = Callable[[Device, Any], Awaitable[None]]

EFFECTS: dict[type[steps.Step], Effect] = {
    steps.Fetch: fetch,
    steps.Verify: verify,
    steps.Remove: remove,
    steps.Prove: prove,
    steps.StartWorker: start_worker,
    steps.StopWorker: stop_worker,
    steps.Load: load,
    steps.Unload: unload,
    steps.StartPipeline: start_pipeline,
    steps.Switch: switch,
    steps.StopPipeline: stop_pipeline,
    steps.StartCapture: start_capture,
    steps.StopCapture: stop_capture,
    steps.StartServing: start_serving,
    steps.StopServing: stop_serving,
    steps.Offer: offer,
    steps.Withdraw: withdraw,
    steps.Promote: promote,
    steps.Judge: judge,
    steps.Forget: forget,
    **SHADOW_EFFECTS,
}


async def _check_release(device: Device, step: steps.VersionStep) -> None:
    wanted, last_good = Wanted(step.model, step.version, step.digest), tuple(device.last_good.values())
    await device.releases.check_or_ask(wanted, last_good, device.bundles, device.fetcher)


def _worker(device: Device) -> Worker:
    if device.worker is None:
        raise WorkerFailed("the worker ended meanwhile")
    return device.worker


async def _manifest(device: Device, digest: Digest) -> Manifest:
    return parse_manifest(await asyncio.to_thread((device.bundles.folder(digest) / MANIFEST).read_text, "utf-8"))


def _choice(device: Device, session: Session) -> Choice:
    for (digest, _), choice in device.choices.valid().items():
        if digest == session.digest and isinstance(choice, Choice) and choice.proof.file == session.variant:
            return choice
    raise WorkerFailed(f"{session.variant} of {session.model}@{session.version} is not proven any more")


def _run(device: Device, step: steps.PipelineStep) -> PipelineRun:
    settings = step.settings
    capture = device.captures.get(settings.source)
    if capture is None:
        raise WorkerFailed(f"source {settings.source!r} is not being captured")
    loaded = device.loaded.get(step.session.key)
    if loaded is not None and (why := undeclared(loaded.task, settings)) is not None:
        raise Refused(why)
    return PipelineRun(
        name=settings.name,
        session=step.session.key,
        source=str(capture.socket),
        fps=settings.fps,
        top_k=settings.top_k,
        score_threshold=settings.score_threshold,
        threshold=settings.threshold,
    )


def _now_runs(device: Device, step: steps.PipelineStep) -> None:
    device.pipelines[step.settings.name] = RunningPipeline(step.deployment, step.settings, step.session, device.clock())
    device.measuring.serves(step.deployment, step.session.digest)
