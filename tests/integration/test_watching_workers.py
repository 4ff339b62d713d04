"""A worker that watches the pipeline of another: the same frames, a budget, and nobody waits for it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from edge_node.config import Source
from edge_node.pipeline.observation import Observation
from edge_node.rungs import Rung
from edge_node.worker.handle import new_worker
from edge_node.worker.messages import Budget, Worker
from tests.conformance.worker_world import World, photos, stub_bundle
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


@dataclass
class Watcher:
    """Another worker, and what it answered."""

    worker: Worker
    seen: list[Observation] = field(default_factory=list)

    def frames(self) -> set[int]:
        """What its frames are known by."""
        return {one.captured_ns for one in self.seen}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World("process", tmp_path)
    await world.start()
    await world.load("current")
    yield world
    await world.close()


@pytest.fixture
async def watcher(world: World) -> AsyncIterator[Watcher]:
    made = Watcher(new_worker("process", world.confinement))
    made.worker.on_observed = made.seen.extend
    await made.worker.start_worker()
    yield made
    await made.worker.close()


async def watch(world: World, watcher: Watcher, source: Source, rungs: tuple[Rung, ...] = (), **model: float) -> None:
    """Run pipeline `shelf` on the one worker, and its shadow on the other."""
    capture = await world.capture("line", source)
    bundle = stub_bundle(world.folder / "candidate", **model)
    await watcher.worker.load("candidate", bundle, "model.stub", 1, 1, rungs)
    run = world.run("shelf", "candidate", capture)
    await watcher.worker.start(msgspec.structs.replace(run, shadow=Budget(cpu=0.25)))
    await world.worker.start(world.run("shelf", "current", capture))


def current(world: World) -> set[int]:
    return {one.captured_ns for one in world.of("shelf")}


async def test_its_frames_are_those_of_the_pipeline(world: World, watcher: Watcher) -> None:
    await watch(world, watcher, Source(str(photos(world.folder / "p", 5)), fps=30, loop=True))
    await until(lambda: len(watcher.seen) >= 40, "40 answers of the watcher")
    await until(lambda: watcher.frames() <= current(world), "the pipeline's answers to the same frames")
    assert len(watcher.frames()) == len(watcher.seen)


async def test_a_source_that_waits_for_its_pipelines_does_not_wait_for_a_watcher_that_hangs(
    world: World, watcher: Watcher
) -> None:
    source = Source(str(photos(world.folder / "p", 50)), realtime=False)
    await watch(world, watcher, source, hang_from=2)
    await until(lambda: len(world.of("shelf")) == 50, "50 answers")
    assert [one.stream_time_s for one in world.of("shelf")] == list(range(50))
    assert not watcher.seen


async def test_an_accelerators_time_is_part_of_the_budget(world: World, watcher: Watcher) -> None:
    (world.folder / "npu").touch()
    npu = Rung("stub", "npu", str(world.folder / "npu"))
    source = Source(str(photos(world.folder / "p", 5)), fps=30, loop=True)
    await watch(world, watcher, source, (npu,), delay_ms=400.0)  # 100 ms on the accelerator
    await until(lambda: len(world.of("shelf")) >= 120, "4 s of frames")
    spent_s = sum(one.latency_ms.infer for one in watcher.seen) / 1e3
    first, last = world.of("shelf")[0], world.of("shelf")[-1]
    lasted_s = (last.captured_ns - first.captured_ns) / 1e9
    assert 0 < spent_s <= 0.25 * (lasted_s + 2.0) + 0.4
