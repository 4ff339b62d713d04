"""The worker process: whatever a model does, the agent hears what happened and lives on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_node.config import Source
from edge_node.errors import WorkerFailed
from edge_node.worker.client import ProcessWorker
from edge_node.worker.liveness import Limits
from tests.conformance.worker_world import World, photos, stub_bundle
from tests.waiting import until

HASTY = Limits(silence_s=2.0, busy_s=1.0, answer_s=3.0, load_s=3.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World("process", tmp_path)
    yield world
    await world.close()


async def running(world: World, limits: Limits | None = None, **behaviour: float) -> ProcessWorker:
    """A worker with a pipeline on a source that never ends."""
    worker = ProcessWorker(world.confinement, limits)
    await world.start(worker)
    await world.load("m", **behaviour)
    source = Source(str(photos(world.folder / "p", 1)), fps=50, loop=True)
    capture = world.captures[0] if world.captures else await world.capture("line", source)
    await worker.start(world.run("shelf", "m", capture))
    return worker


async def test_a_worker_that_is_killed_in_mid_inference_says_what_it_was_doing(world: World) -> None:
    worker = await running(world, delay_ms=50)
    await until(lambda: len(world.seen) >= 3 and world.status("shelf") is not None, "answers")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    await until(lambda: bool(world.deaths), "the death is told")
    assert world.deaths == ["the worker was killed by SIGKILL while running pipeline shelf on session m"]
    with pytest.raises(WorkerFailed, match="killed by SIGKILL"):
        await worker.unload("m")


async def test_after_a_death_another_worker_goes_on_with_the_same_capture(world: World) -> None:
    first = await running(world)
    await until(lambda: len(world.seen) >= 3, "answers")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await until(lambda: bool(world.deaths), "the death is told")
    second = ProcessWorker(world.confinement)
    await world.start(second)
    await second.load("m", world.folder / "bundle-m", "model.stub", 1, 1)
    seen = len(world.seen)
    await second.start(world.run("shelf", "m", world.captures[0]))
    await until(lambda: len(world.seen) >= seen + 3, "answers of the second worker")
    assert world.captures[0].report.state == "connected"


async def test_a_worker_that_is_stopped_is_killed_after_the_silence(world: World) -> None:
    worker = await running(world, HASTY)
    await until(lambda: world.status("shelf") is not None, "the status")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    await until(lambda: bool(world.deaths), "the watchdog")
    assert "was killed because it hung (no sign of life for " in world.deaths[0]
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


async def test_a_model_that_crashes_the_process_is_named(world: World) -> None:
    await running(world, crash_from=10)
    await until(lambda: bool(world.deaths), "the crash")
    assert world.deaths[0].startswith("the worker was killed by SIGSEGV while ")
    assert "shelf" in world.deaths[0]


async def test_a_model_that_crashes_while_it_is_loaded_fails_the_request_and_tells_once(world: World) -> None:
    worker = ProcessWorker(world.confinement)
    await world.start(worker)
    with pytest.raises(WorkerFailed, match=r"^the worker was killed by SIGSEGV while loading model.stub as session m$"):
        await world.load("m", crash_from=0)
    await until(lambda: bool(world.deaths), "the death")
    assert world.deaths == ["the worker was killed by SIGSEGV while loading model.stub as session m"]


async def test_an_inference_that_never_returns_is_ended(world: World) -> None:
    worker = ProcessWorker(world.confinement, HASTY)
    await world.start(worker)
    bundle = stub_bundle(world.folder / "b")
    await worker.load("m", bundle, "model.stub", 1, 1)
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 1)), fps=50, loop=True))
    slow = stub_bundle(world.folder / "slow", delay_ms=1500)
    with pytest.raises(WorkerFailed, match="hung"):
        await worker.load("slow", slow, "model.stub", 1, 2)  # warming takes 4 x 1.5 s, more than load_s
    assert world.deaths == [
        "the worker was killed because it hung (no answer within 3 s) while loading model.stub as session slow"
    ]
    assert capture.report.state in ("starting", "connected")


async def test_a_busy_inference_is_noticed_by_the_status(world: World) -> None:
    worker = ProcessWorker(world.confinement, Limits(silence_s=5, busy_s=1.0))
    await world.start(worker)
    bundle = stub_bundle(world.folder / "b", delay_ms=3500)
    await worker.load("m", bundle, "model.stub", 1, 1)
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 1)), fps=50, loop=True))
    await worker.start(world.run("shelf", "m", capture))
    await until(lambda: bool(world.deaths), "the watchdog")
    assert "was killed because it hung (an inference of pipeline shelf runs for" in world.deaths[0]


async def test_a_proof_in_a_worker_of_its_own_takes_nothing_else_with_it(world: World) -> None:
    serving = await running(world)
    await until(lambda: len(world.seen) >= 3, "answers")
    prover = ProcessWorker(world.confinement)
    await prover.start_worker()
    with pytest.raises(WorkerFailed, match=r"^the worker was killed by SIGSEGV while proving model.stub of "):
        await prover.prove(stub_bundle(world.folder / "hostile", crash_from=0), "model.stub", 1)
    await prover.close()
    seen = len(world.seen)
    await until(lambda: len(world.seen) >= seen + 3, "answers after the crash")
    assert serving.status is not None
    assert not world.deaths


async def test_closing_ends_a_worker_that_hangs(world: World) -> None:
    worker = ProcessWorker(world.confinement)
    await world.start(worker)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    await worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
    assert not world.deaths


async def test_closing_while_a_request_waits_fails_the_request(world: World) -> None:
    worker = ProcessWorker(world.confinement)
    await world.start(worker)
    loading = asyncio.create_task(world.load("m", delay_ms=2000))
    await asyncio.sleep(0.1)
    await worker.close()
    with pytest.raises(WorkerFailed, match="closed"):
        await loading


async def test_what_models_print_stays_off_the_agents_standard_output(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    await running(world)
    await until(lambda: len(world.seen) >= 1, "an answer")
    assert capfd.readouterr().out == ""
