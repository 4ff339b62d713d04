"""One suite for both isolations: what a worker and its captures do, as processes and as threads."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from edge_node.capture.handle import open_capture
from edge_node.config import Source
from edge_node.errors import WorkerFailed
from tests.conformance.worker_world import Isolation, World, clip, photos, recurrent_bundle, stub_bundle
from tests.waiting import until


@pytest.fixture(params=["process", "thread"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    world = World(cast("Isolation", request.param), tmp_path)
    await world.start()
    yield world
    await world.close()


async def test_every_frame_of_a_lossless_source_is_answered_once_and_in_order(world: World) -> None:
    await world.load("a")
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 50)), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) == 50, "50 answers")
    assert [one.stream_time_s for one in world.seen] == list(range(50))
    assert {one.session for one in world.seen} == {"a"}
    await until(lambda: capture.report.state == "ended", "the end of the source")
    await until(lambda: "ended" in getattr(world.status("shelf"), "source_state", ""), "the pipeline hears of it")


async def test_an_observation_says_what_was_seen_when_and_how_long_it_took(world: World) -> None:
    await world.load("a", delay_ms=20)
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 1)), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) == 1, "an answer")
    (one,) = world.seen
    assert (one.pipeline, one.task, one.stream_time_s) == ("shelf", "classification", 0.0)
    assert one.outputs == ({"label": "1", "score": 0.7, "index": 1},)
    assert one.frame is not None
    assert (one.frame.width, one.frame.height) == (8, 8)
    assert one.captured_ns > 1_700_000_000 * 10**9
    assert one.latency_ms.infer >= 20
    assert all(round(part, 3) == part for part in msgspec.structs.astuple(one.latency_ms))
    assert min(one.latency_ms.queue, one.latency_ms.preprocess, one.latency_ms.postprocess) >= 0


async def test_pipelines_on_one_source_share_one_decode_and_each_sees_everything(world: World) -> None:
    await world.load("a")
    await world.load("b", delay_ms=5)
    source = Source(str(photos(world.folder / "p", 40)), realtime=False)
    capture = await world.capture("line", source)
    # The first photo waits for the first pipeline; a slow model keeps the rest back until all three are there.
    for name, session in [("slow", "b"), ("one", "a"), ("two", "a")]:
        await world.worker.start(world.run(name, session, capture))
    await until(lambda: len(world.of("slow")) == 40, "40 answers")
    await until(lambda: capture.report.decoded == 40, "the capture's report")
    for name in ("one", "two"):
        times = [one.stream_time_s for one in world.of(name)]
        assert times == list(range(40 - len(times), 40))
        assert times


async def test_a_slow_engine_gets_the_newest_frame_and_the_dropped_are_counted(world: World) -> None:
    await world.load("slow", delay_ms=60)
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 5)), fps=100, loop=True))
    await world.worker.start(world.run("shelf", "slow", capture))
    await until(lambda: len(world.seen) >= 10, "10 answers")
    await until(lambda: getattr(world.status("shelf"), "dropped", 0) > 10, "dropped frames")
    first, last = world.seen[0], world.seen[-1]
    offered = (last.captured_ns - first.captured_ns) / 1e9 * 100
    assert len(world.seen) < offered / 2


async def test_a_switch_loses_no_frame_and_the_old_session_answers_what_it_has_begun(world: World) -> None:
    await world.load("old", delay_ms=3)
    await world.load("new", delay_ms=3)
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 200)), realtime=False))
    await world.worker.start(world.run("shelf", "old", capture))
    await until(lambda: len(world.seen) >= 20, "answers of the old session")
    gap_ms = await world.worker.switch(world.run("shelf", "new", capture))
    await world.worker.unload("old")
    await until(lambda: len(world.seen) == 200, "all answers")
    assert [one.stream_time_s for one in world.seen] == list(range(200))
    sessions = [one.session for one in world.seen]
    assert sessions == sorted(sessions, reverse=True)
    assert set(sessions) == {"old", "new"}
    assert 0 < gap_ms < 1000


async def test_an_inference_that_fails_is_counted_and_the_pipeline_goes_on(world: World) -> None:
    await world.load("bad", fail_from=25)  # warming is counted by the stub too
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 40)), realtime=False))
    await world.worker.start(world.run("shelf", "bad", capture))
    await until(lambda: getattr(world.status("shelf"), "failed", 0) >= 15, "failures")
    status = world.status("shelf")
    assert status is not None
    assert status.inferred == len(world.seen)
    assert status.inferred + status.failed == 40
    assert status.error == "the stub fails from run 25 on"
    assert not world.deaths


async def test_a_pipelines_own_fps_thins_the_source(world: World) -> None:
    await world.load("a")
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 40)), fps=10, realtime=False))
    run = world.run("shelf", "a", capture)
    await world.worker.start(type(run)(run.name, run.session, run.source, fps=5))
    await until(lambda: getattr(world.status("shelf"), "source_state", "") == "ended", "the end")
    assert [one.stream_time_s for one in world.seen] == pytest.approx([index / 5 for index in range(20)])


async def test_requests_may_be_repeated(world: World) -> None:
    bundle = stub_bundle(world.folder / "b")
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 3)), realtime=False))
    for _ in range(2):
        await world.worker.load("a", bundle, "model.stub", 1, 1)
    for _ in range(2):
        await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) == 3, "answers")
    for _ in range(2):
        await world.worker.stop("shelf")
    for _ in range(2):
        await world.worker.unload("a")
    await until(lambda: world.worker.status is not None and world.worker.status.sessions == (), "nothing loaded")


async def test_what_cannot_be_done_is_refused_in_one_line(world: World) -> None:
    await world.load("a")
    await world.load("b")
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 3)), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    bundle, worker = world.folder / "bundle-a", world.worker
    refusals = {
        "session nothing is not loaded": worker.start(world.run("other", "nothing", capture)),
        "in use by shelf": worker.unload("a"),
        "runs already": worker.start(world.run("shelf", "b", capture)),
        "does not run": worker.switch(world.run("other", "a", capture)),
        "no variant": worker.load("c", bundle, "other.stub", 1, 1),
        "model.toml": worker.load("c", world.folder / "nowhere", "model.stub", 1, 1),
        "holds model.stub already": worker.load("a", world.folder / "bundle-b", "model.stub", 1, 1),
    }
    for reason, asked in refusals.items():
        with pytest.raises(WorkerFailed, match=reason) as refused:
            await asked
        assert "\n" not in str(refused.value)


async def test_a_bundle_without_golden_vectors_is_measured_and_says_that_it_is_unproven(world: World) -> None:
    (proof,) = await world.worker.prove(stub_bundle(world.folder / "b", delay_ms=2), None, 1)
    assert (proof.file, proof.engine, proof.vectors, proof.agrees, proof.error) == ("model.stub", "stub", 0, True, "")
    assert proof.p50_ms >= 2


async def test_a_variant_that_cannot_run_here_is_a_proof_that_says_why(world: World) -> None:
    bundle = stub_bundle(world.folder / "b")
    (bundle / "model.stub").write_text("not a model")
    (proof,) = await world.worker.prove(bundle, "model.stub", 1)
    assert not proof.agrees
    assert "not a stub model" in proof.error


async def test_several_instances_answer_in_the_order_of_the_frames(world: World) -> None:
    bundle = stub_bundle(world.folder / "b", delay_ms=4)
    await world.worker.load("a", bundle, "model.stub", 1, 3)
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 60)), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) == 60, "60 answers")
    assert [one.stream_time_s for one in world.seen] == list(range(60))


async def test_a_recurrent_model_begins_anew_when_its_stream_does(world: World) -> None:
    """A clip round and round: with the state of the round before the answers would differ."""
    await world.worker.load("r", recurrent_bundle(world.folder / "r"), "model.stub", 1, 3)
    capture = await world.capture("line", Source(str(clip(world.folder / "c.mp4", 2)), loop=True, realtime=False))
    await world.worker.start(world.run("shelf", "r", capture))
    await until(lambda: len(world.seen) >= 8, "4 rounds")
    answers = [one.outputs[0]["values"] for one in world.seen[:8]]  # type: ignore[index]
    assert answers[:2] * 4 == answers
    assert answers[0] != answers[1]


async def test_a_status_says_what_runs_and_what_it_costs(world: World) -> None:
    await world.load("a")
    folder = photos(world.folder / "p", 10)
    capture = await world.capture("line", Source(str(folder), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: getattr(world.status("shelf"), "inferred", 0) == 10, "the status")
    status = world.status("shelf")
    assert status is not None
    sizes = [file.stat().st_size for file in sorted(folder.iterdir())]
    assert status.ingress_bytes == sum(sizes[1:])  # the first frame began the count
    assert (status.session, status.dropped, status.failed) == ("a", 0, 0)
    assert world.worker.status is not None
    assert world.worker.status.sessions == ("a",)
    assert world.worker.status.memory_kb > 10_000


async def test_a_folder_in_which_no_socket_can_be_made_is_told_in_the_state(world: World) -> None:
    deep = world.folder / ("d" * 120)
    deep.mkdir()
    capture = open_capture(world.isolation, "line", Source("/dev/video9"), deep)
    world.captures.append(capture)
    await capture.start()
    assert "AF_UNIX path too long: choose another state folder" in capture.report.state


async def test_closing_twice_is_fine_and_then_nothing_is_accepted(world: World) -> None:
    await world.load("a")
    await world.worker.close()
    await world.worker.close()
    with pytest.raises(WorkerFailed):
        await world.worker.unload("a")
    assert not world.deaths


async def test_closing_leaves_no_socket_and_no_descriptor_behind(world: World) -> None:
    await world.load("a")
    capture = await world.capture("line", Source(str(photos(world.folder / "p", 3)), realtime=False))
    await world.worker.start(world.run("shelf", "a", capture))
    await until(lambda: len(world.seen) == 3, "answers")
    await world.close()
    assert not capture.socket.exists()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked
    again = World(world.isolation, world.folder / "again")
    again.folder.mkdir()
    await again.start()
    await again.load("a")
    await again.close()
    assert len(os.listdir("/proc/self/fd")) <= descriptors  # noqa: PTH208
