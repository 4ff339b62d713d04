"""One suite for both isolations: what a session answers on its lane, with real engines and models of a few bytes."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import pytest_asyncio

from edge_node.engine.base import Array
from edge_node.errors import WorkerFailed
from edge_node.lane.messages import Sequence
from edge_node.lane.serving_end import LaneOver
from edge_node.sandbox.confinement import THREADS
from edge_node.sandbox.support import support
from edge_node.worker.messages import LaneOptions, PipelineRun
from tests.conformance.lane_world import Lanes, stub_file
from tests.conformance.tiny_models import onnx_open_model, tflite_model
from tests.conformance.worker_world import Isolation, World, recurrent_bundle, stub_bundle
from tests.waiting import until

PHOTO = {"x": np.zeros((1, 8, 8, 3), np.uint8)}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=["process", "thread"], scope="module", loop_scope="module")
async def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One worker for all tests: starting one takes longer than most of them."""
    world = World(cast("Isolation", request.param), tmp_path_factory.mktemp("lanes"))
    await world.start()
    yield world
    await world.close()


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> AsyncIterator[World]:
    base = running.folder
    running.folder = base / str(len(list(base.iterdir())))
    running.folder.mkdir()
    yield running
    for session in ("a", "onnx", "lite"):
        await running.worker.unload(session)
    running.folder = base


@pytest_asyncio.fixture(loop_scope="module")
async def lanes(world: World) -> AsyncIterator[Lanes]:
    lanes = Lanes(world.folder)
    yield lanes
    lanes.close()


def _floats(*values: float) -> dict[str, Array]:
    return {"x": np.array([values], np.float32)}


async def test_a_model_file_answers_with_its_engine_s_numbers(world: World, lanes: Lanes) -> None:
    for session, path in {
        "onnx": onnx_open_model(world.folder / "twice.onnx", "batch", 4),
        "lite": tflite_model(world.folder / "twice.tflite"),
    }.items():
        await world.worker.load(session, path, "", 1, 1)
        lane = await lanes.lane(world.worker, session)
        answer, outputs = await lane.ask(_floats(1, 2, 3, 4))
        assert (answer.failure, answer.batch) == ("", 1)
        np.testing.assert_array_equal(outputs["y"], [[2, 4, 6, 8]])
        assert answer.infer_ns > 0


async def test_hello_says_what_the_model_takes_and_gives(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", onnx_open_model(world.folder / "twice.onnx", "batch", 4), "", 1, 2)
    hello = (await lanes.lane(world.worker, "a", LaneOptions(max_batch=16))).hello
    (x,), (y,) = hello.inputs, hello.outputs
    assert (x.name, x.datatype, x.shape) == ("x", "FP32", (-1, 4))
    assert (y.name, y.datatype, y.shape) == ("y", "FP32", (-1, 4))
    assert (hello.engine, hello.accelerator, hello.instances, hello.max_batch) == ("onnxruntime", "cpu", 2, 16)


async def test_answers_in_a_batch_are_those_of_asks_one_by_one(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", onnx_open_model(world.folder / "twice.onnx", "batch", 4), "", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    rng = np.random.default_rng(4)
    feeds = [{"x": rng.random((rows, 4), np.float32)} for rows in (1, 3, 2)]
    alone = [await lane.ask(one) for one in feeds]
    together = await lane.answers([lane.put(one) for one in feeds])
    assert [answer.batch for answer, _ in alone] == [1, 3, 2]
    assert [answer.batch for answer, _ in together] == [6, 6, 6]
    for (_, one), (_, other) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one["y"], other["y"])


async def test_one_ask_of_a_batch_that_does_not_fit_spoils_no_other(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", onnx_open_model(world.folder / "twice.onnx", "batch", 4), "", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    bad: list[dict[str, Array]] = [
        {"x": np.zeros((1, 3), np.float32)},
        {"x": np.zeros((1, 4), np.int64)},
        {"z": np.zeros((1, 4), np.float32)},
    ]
    batch = [lane.put({}), *map(lane.put, bad)]
    batch += [lane.put(one, finite=True) for one in (_floats(float("nan"), 0, 0, 0), _floats(1, 2, 3, 4))]
    answers = await lane.answers(batch)
    assert [answer.failure for answer, _ in answers] == ["invalid"] * 5 + [""]
    assert [answer.reason for answer, _ in answers[:5]] == [
        "the input 'x' is missing",
        "the input 'x' takes float32 [?, 4], not float32 [1, 3]",
        "the input 'x' takes float32 [?, 4], not int64 [1, 4]",
        "no input 'z': the inputs are x",
        "the input 'x' has values that are not finite (NaN or infinite)",
    ]
    np.testing.assert_array_equal(answers[-1][1]["y"], [[2, 4, 6, 8]])


async def test_values_need_not_be_finite_unless_the_ask_says_so(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", onnx_open_model(world.folder / "twice.onnx", "batch", 4), "", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    answer, outputs = await lane.ask(_floats(float("nan"), float("inf"), 1e30, 0))
    assert answer.failure == ""
    np.testing.assert_array_equal(outputs["y"], [[float("nan"), float("inf"), np.float32(2e30), 0]])


async def test_large_numbers_are_finite(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", onnx_open_model(world.folder / "twice.onnx", "batch", 4), "", 1, 1)
    answer, _ = await (await lanes.lane(world.worker, "a")).ask(_floats(1e38, -1e38, 0, 0), finite=True)
    assert answer.failure == ""


async def test_texts_go_in_and_come_out(world: World, lanes: Lanes) -> None:
    await world.worker.load(
        "a", onnx_open_model(world.folder / "text.onnx", "a", "b", operator="Identity", element=8), "", 1, 1
    )
    lane = await lanes.lane(world.worker, "a")
    assert lane.hello.inputs[0].datatype == "BYTES"
    _, outputs = await lane.ask({"x": np.array([["", "Grüße", "x" * 1000]], object)})
    assert outputs["y"].tolist() == [["", "Grüße", "x" * 1000]]
    answer, _ = await lane.ask({"x": np.array([[b"\xff\xfe"]], object)})
    assert (answer.failure, answer.reason) == ("invalid", "the input 'x' has BYTES that are no UTF-8 text: element 0")


async def test_asks_of_different_lengths_go_together_where_an_axis_is_padded(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", onnx_open_model(world.folder / "lengths.onnx", "batch", "length", 2), "", 1, 1)
    lane = await lanes.lane(world.worker, "a", LaneOptions(padded=("length",)))
    feeds = [{"x": np.full((1, length, 2), length, np.float32)} for length in (3, 1, 5)]
    answers = await lane.answers([lane.put(one) for one in feeds])
    assert [answer.batch for answer, _ in answers] == [3, 3, 3]
    for (_, outputs), one in zip(answers, feeds, strict=True):
        np.testing.assert_array_equal(outputs["y"], 2 * one["x"])
    lane = await lanes.lane(world.worker, "a")
    answers = await lane.answers([lane.put(one) for one in feeds])
    assert [answer.batch for answer, _ in answers] == [1, 1, 1], "nothing is padded unless it is declared"


PADDED = """
name = "lengths"
task = "tensor"
padded = ["length"]
[[variants]]
file = "m.onnx"
engine = "onnxruntime"
[[inputs]]
low = 0
high = 9
[[outputs]]
decode = "tensor"
"""


async def test_a_bundle_declares_what_may_be_padded_and_the_range_of_values(world: World, lanes: Lanes) -> None:
    (world.folder / "model.toml").write_text(PADDED)
    onnx_open_model(world.folder / "m.onnx", "batch", "length", 2)
    await world.worker.load("a", world.folder, "m.onnx", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    (x,) = lane.hello.inputs
    assert (x.padded, x.low, x.high) == ((1,), 0.0, 9.0)
    feeds = [{"x": np.full((1, length, 2), length, np.float32)} for length in (3, 10, 5)]
    answers = await lane.answers([lane.put(one) for one in feeds])
    assert [answer.batch for answer, _ in answers] == [2, 1, 2]
    assert answers[1][0].reason == "the input 'x' has the value 10, above 9"


async def test_only_the_outputs_that_are_wanted_come_back(world: World, lanes: Lanes) -> None:
    ends = [{"name": name, "dtype": "float32", "shape": [1, 2]} for name in ("x", "one", "two")]
    await world.worker.load("a", stub_file(world.folder / "two.stub", ends[:1], ends[1:]), "", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    feeds = {"x": np.ones((1, 2), np.float32)}
    assert list((await lane.ask(feeds, ["two"]))[1]) == ["two"]
    assert list((await lane.ask(feeds))[1]) == ["one", "two"]


async def test_work_whose_time_is_over_is_not_begun(world: World, lanes: Lanes) -> None:
    bundle = stub_bundle(world.folder / "b", fail_from=3)
    await world.worker.load("a", bundle, "model.stub", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    feeds = PHOTO
    late, _ = await lane.ask(feeds, deadline_ns=time.monotonic_ns())
    in_time, outputs = await lane.ask(feeds, deadline_ns=time.monotonic_ns() + 60 * 10**9)
    assert (late.failure, in_time.failure) == ("deadline", ""), "the second would fail if the first had been run"
    assert outputs["y"].tolist() == [[np.float32(value) for value in (0.1, 0.7, 0.2, 0.0)]]


async def test_an_engine_that_gives_up_is_an_answer_and_the_lane_goes_on(world: World, lanes: Lanes) -> None:
    bundle = stub_bundle(world.folder / "b", fail_from=2)
    await world.worker.load("a", bundle, "model.stub", 1, 1)
    lane = await lanes.lane(world.worker, "a")
    for _ in range(3):
        answer, _ = await lane.ask(PHOTO)
        assert (answer.failure, answer.reason) == ("failed", "the stub fails from run 2 on")
    await until(lambda: world.lane_status("a").failed == 3, "the failures in the status")


async def test_a_sequence_has_a_state_of_its_own(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", recurrent_bundle(world.folder / "r"), "model.stub", 1, 2)
    lane = await lanes.lane(world.worker, "a", LaneOptions(sequences=2))
    assert (lane.hello.recurrent, lane.hello.instances, lane.hello.max_batch) == (True, 1, 0)
    assert [port.name for port in (*lane.hello.inputs, *lane.hello.outputs)] == ["x", "y"]
    feeds = {"x": np.eye(1, 192, dtype=np.uint8).reshape(1, 8, 8, 3)}

    async def step(sequence: int | str, *, start: bool = False, end: bool = False) -> float | str:
        answer, outputs = await lane.ask(feeds, sequence=Sequence(sequence, start, end))
        return answer.reason or float(outputs["y"][0, 0])

    assert [await step(7, start=True), await step("b", start=True), await step(7), await step(7)] == [1, 1, 2, 3]
    assert await step(9, start=True) == "2 sequences are open: end one, or wait until one is idle"
    assert [await step("b"), await step(7, start=True), await step(7, end=True)] == [2, 1, 2]
    assert str(await step(7)).startswith("sequence 7 is not open")
    assert await step(9, start=True) == 1
    answer, _ = await lane.ask(feeds)
    assert (answer.failure, "sequence_id" in answer.reason) == ("invalid", True)


async def test_a_sequence_that_is_idle_for_too_long_is_forgotten(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", recurrent_bundle(world.folder / "r"), "model.stub", 1, 1)
    lane = await lanes.lane(world.worker, "a", LaneOptions(sequence_idle_s=0.05))
    assert lane.hello.sequence_idle_s == 0.05
    feeds = PHOTO
    await lane.ask(feeds, sequence=Sequence(7, start=True))
    await asyncio.sleep(0.1)
    answer, _ = await lane.ask(feeds, sequence=Sequence(7))
    assert (answer.failure, answer.reason[:22]) == ("invalid", "sequence 7 is not open")


async def test_instances_take_batches_side_by_side(world: World, lanes: Lanes) -> None:
    await world.worker.load("a", stub_bundle(world.folder / "b", delay_ms=100), "model.stub", 1, 2)
    lane = await lanes.lane(world.worker, "a")
    batch = [lane.put(PHOTO) for _ in range(2)]
    for number in batch:
        lane.lane.send([number])
    came = [await lane.received() for _ in batch]
    assert sorted(came) == sorted((number,) for number in batch)
    first, second = (lane.take(number)[0] for number in batch)
    assert first.failure == second.failure == ""


async def test_what_was_in_flight_when_the_worker_was_killed_is_known(tmp_path: Path) -> None:
    world, lanes = World("process", tmp_path), Lanes(tmp_path)
    await world.start()
    await world.load("a", crash_from=2)
    lane = await lanes.lane(world.worker, "a")
    batch = [lane.put(PHOTO), lane.put(PHOTO)]
    lane.lane.send(batch)
    with pytest.raises(LaneOver, match="session a is gone"):
        await lane.received()
    assert lane.lane.with_worker == set(batch)
    await until(lambda: world.deaths, "the death")
    assert world.deaths == ["the worker was killed by SIGSEGV while serving session a"]
    lanes.close()
    await world.close()


async def test_a_lane_that_the_serving_process_ends_is_over_and_can_be_opened_again(world: World, lanes: Lanes) -> None:
    await world.load("a")
    lane = await lanes.lane(world.worker, "a")
    lane.lane.close()
    await until(lambda: not world.lane_status("a").open, "the worker notices")
    answer, _ = await (await lanes.lane(world.worker, "a")).ask(PHOTO)
    assert answer.failure == ""


async def test_closing_a_lane_or_its_session_hangs_up(world: World, lanes: Lanes) -> None:
    await world.load("a")
    for end in (world.worker.close_lane, world.worker.unload):
        lane = await lanes.lane(world.worker, "a")
        await end("a")
        with pytest.raises(LaneOver, match="session a is gone"):
            await lane.received()


async def test_a_lane_needs_a_session_and_a_serving_process(world: World, lanes: Lanes) -> None:
    with pytest.raises(WorkerFailed, match="session a is not loaded: load it first"):
        await world.worker.open_lane("a", lanes.path, LaneOptions())
    await world.load("a")
    with pytest.raises(WorkerFailed, match=r"the serving process takes no lane at .*nobody"):
        await world.worker.open_lane("a", str(world.folder / "nobody"), LaneOptions())


async def test_a_worker_with_lanes_is_as_confined_as_any(world: World, lanes: Lanes) -> None:
    await world.load("a")
    await lanes.lane(world.worker, "a")
    await until(lambda: world.worker.status, "a status")
    assert world.worker.status is not None
    assert world.worker.status.sandbox == (support().text if world.isolation == "process" else THREADS)


async def test_a_pipeline_cannot_run_on_a_model_file(world: World) -> None:
    await world.worker.load("a", tflite_model(world.folder / "m.tflite"), "", 1, 1)
    with pytest.raises(WorkerFailed, match="a model file, which can only be served"):
        await world.worker.start(PipelineRun("p", "a", "nowhere"))
