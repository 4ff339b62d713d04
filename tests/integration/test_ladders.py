"""A lost accelerator degrades, visibly: it fails, crashes or hangs at run time, and the next rung takes over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_node.config import Source
from edge_node.rungs import Rung, SessionStatus
from edge_node.worker.client import ProcessWorker
from edge_node.worker.ladders import Ladders
from tests.conformance.worker_world import World, photos, stub_bundle
from tests.waiting import until


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World("process", tmp_path)
    yield world
    await world.close()


def standing(worker: ProcessWorker) -> SessionStatus | None:
    return None if worker.status is None else next(iter(worker.status.loaded), None)


async def on_the_accelerator(world: World, ladders: Ladders, command: Path) -> ProcessWorker:
    """A worker with a pipeline whose session has an accelerator and the processor."""
    worker = ProcessWorker(world.confinement, None, ladders)
    await world.start(worker)
    bundle = world.folder / "bundle"
    if not bundle.exists():
        stub_bundle(bundle)
        await world.capture("line", Source(str(photos(world.folder / "p", 1)), fps=50, loop=True))
    rungs = (Rung("stub", "npu", str(command)), Rung("stub"))
    await worker.load("m", bundle, "model.stub", 1, 1, rungs)
    await worker.start(world.run("shelf", "m", world.captures[0]))
    return worker


async def test_an_accelerator_that_fails_is_relieved_in_the_worker_and_no_frame_fails(world: World) -> None:
    command = world.folder / "command"
    command.touch()
    worker = await on_the_accelerator(world, Ladders(), command)
    await until(lambda: standing(worker) is not None and bool(world.seen), "answers of the accelerator")
    command.write_text("fail")
    fell = "fell back from stub/npu: the stub's npu fails as it was told"
    expected = SessionStatus("m", "stub", "cpu", fell, last=True)
    await until(lambda: standing(worker) == expected, "the fall in the status")
    status = world.status("shelf")
    assert status is not None
    assert status.failed == 0
    assert not world.deaths


@pytest.mark.parametrize(("order", "end"), [("crash", "was killed by SIGSEGV"), ("hang", "was killed because it hung")])
async def test_an_accelerator_that_takes_its_worker_with_it_is_not_used_by_the_next(
    world: World, order: str, end: str
) -> None:
    command, ladders = world.folder / "command", Ladders()
    command.touch()
    first = await on_the_accelerator(world, ladders, command)
    await until(lambda: standing(first) is not None and bool(world.seen), "answers of the accelerator")
    command.write_text(order)
    await until(lambda: bool(world.deaths), "the death is told")
    second = await on_the_accelerator(world, ladders, command)
    await until(lambda: standing(second) is not None, "its status")
    now = standing(second)
    assert now is not None
    assert (now.accelerator, now.last) == ("cpu", True)
    assert now.fell.startswith("fell back from stub/npu: the worker " + end)
