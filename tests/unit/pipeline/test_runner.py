"""One loaded model: samples in, answers out, state from step to step."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_node.errors import BadInput
from edge_node.pipeline.postprocess import Options
from edge_node.pipeline.runner import Runner
from protos.bundle import Input, Manifest, Output, Task, Variant
from protos.result import Anomaly, Classified, Tensor
from tests.unit.pipeline.stubs import IMAGE, scores, stub_session, tensor

FRAME = np.zeros((16, 16, 3), np.uint8)
STUB = (Variant("model.stub", "stub"),)


def manifest(task: Task, inputs: tuple[Input, ...] = (), outputs: tuple[Output, ...] = ()) -> Manifest:
    return Manifest("m", task, STUB, inputs=inputs, outputs=outputs)


def classifier(folder: Path, **more: Any) -> Runner:
    session = stub_session(folder, [IMAGE], [scores(0.1, 0.7, 0.2)])
    return Runner(session, manifest(Task.CLASSIFICATION, (Input(kind="image"),)), **more)


def test_a_frame_becomes_an_answer_with_its_times(tmp_path: Path) -> None:
    answer = classifier(tmp_path, labels=("a", "b", "c")).run(FRAME)
    assert answer.outputs == (Classified("b", 0.7, 1),)
    assert min(answer.preprocess_ms, answer.infer_ms, answer.postprocess_ms) >= 0


def test_the_steps_by_themselves_give_the_same(tmp_path: Path) -> None:
    runner = classifier(tmp_path)
    first, second = runner.prepare(FRAME), runner.prepare(FRAME + 255)
    assert runner.interpret(first, runner.infer(first)) == runner.run(FRAME).outputs
    assert first.feeds["image"] is not second.feeds["image"]
    assert first.feeds["image"].max() == 0


def test_a_pipelines_options_override_the_manifest(tmp_path: Path) -> None:
    assert len(classifier(tmp_path, options=Options(top_k=2)).run(FRAME).outputs) == 2


def recurrent(folder: Path) -> Runner:
    """y = x + h (+ a constant 3), where h is the y of the step before."""
    inputs = [tensor("x", (1, 1)), tensor("h", (1, None)), tensor("bias", (), "int64")]
    session = stub_session(folder, inputs, [tensor("y", (1, 1)), tensor("hN", (1, 1))])
    given = (
        Input(kind="tensor"),
        Input(name="h", kind="state", source="hN"),
        Input(name="bias", kind="constant", value=3),
    )
    return Runner(session, manifest(Task.TENSOR, given))


def value(runner: Runner, sample: float) -> float:
    (answer,) = runner.run(np.array([sample])).outputs
    assert isinstance(answer, Tensor)
    assert answer.name == "y"
    return answer.values[0]


def test_state_goes_from_step_to_step_until_a_stream_begins_anew(tmp_path: Path) -> None:
    runner = recurrent(tmp_path)
    assert runner.recurrent
    assert [value(runner, sample) for sample in (1, 10, 100)] == [4, 17, 120]
    runner.reset()
    assert value(runner, 1) == 4


def test_warming_leaves_no_state_behind(tmp_path: Path) -> None:
    runner = recurrent(tmp_path)
    runner.warm()
    assert value(runner, 1) == 4


def test_a_state_of_which_no_output_is_named_is_refused(tmp_path: Path) -> None:
    session = stub_session(tmp_path, [tensor("x", (1,)), tensor("h", (1,))], [tensor("y", (1,))])
    for given, said in (
        (Input(name="h", kind="state"), "needs from = the output it comes from"),
        (Input(name="h", kind="state", source="z"), "no output 'z' in the model: it has y"),
        (Input(name="h", kind="constant"), "the constant input 'h' needs a value"),
        (Input(name="h", kind="text"), "of kind 'text', which this version cannot feed"),
        (Input(name="k"), "no input 'k' in the model: it has x, h"),
    ):
        with pytest.raises(BadInput, match=said):
            Runner(session, manifest(Task.TENSOR, (given,)))


def test_more_inputs_than_the_model_has_are_refused(tmp_path: Path) -> None:
    session = stub_session(tmp_path, [tensor("x", (1,))], [tensor("y", (1,))])
    with pytest.raises(BadInput, match="has 2 inputs, the model 1: x"):
        Runner(session, manifest(Task.TENSOR, (Input(), Input())))


def test_an_anomaly_is_measured_against_the_sample_before_quantization(tmp_path: Path) -> None:
    inputs = [tensor("x", (1, 4), "int8", scale=1.0, zero_point=0)]
    session = stub_session(tmp_path, inputs, [tensor("y", (1, 4), values=[0, 0, 0, 0])])
    runner = Runner(session, manifest(Task.ANOMALY))
    assert runner.run(np.full((2, 2), 0.25)).outputs == (Anomaly(0.0625),)


def test_an_image_rebuilt_is_compared_with_what_the_model_saw(tmp_path: Path) -> None:
    session = stub_session(tmp_path, [tensor("x", (1, 2, 2, 3))], [tensor("y", (1, 2, 2, 3), values=[0.5] * 12)])
    runner = Runner(session, manifest(Task.ANOMALY, (Input(kind="image"),)))
    assert runner.run(FRAME).outputs == (Anomaly(0.25),)


def test_several_samples_come_as_a_mapping(tmp_path: Path) -> None:
    session = stub_session(tmp_path, [tensor("a", (1,)), tensor("b", (1,))], [tensor("y", (1,))])
    runner = Runner(session, manifest(Task.TENSOR))
    (answer,) = runner.run({"b": np.array([2]), "a": np.array([1])}).outputs
    assert answer == Tensor("y", (1,), (3.0,))
    assert runner.run(runner.example()).outputs == (Tensor("y", (1,), (0.0,)),)
    with pytest.raises(BadInput, match="the model takes 2 samples at once: a, b"):
        runner.run(np.array([1]))
    with pytest.raises(BadInput, match="the model takes a, b, the sample has a"):
        runner.run({"a": np.array([1])})


def test_a_sample_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    session = stub_session(tmp_path, [tensor("x", (1, 4))], [tensor("y", (1,))])
    with pytest.raises(BadInput, match=r"a sample of \[5\] does not fill the input 'x' of \[1, 4\]"):
        Runner(session, manifest(Task.TENSOR)).run(np.zeros(5))


def test_open_axes_take_what_the_sample_has(tmp_path: Path) -> None:
    session = stub_session(tmp_path, [tensor("x", (None, None))], [tensor("y", (1,))])
    runner = Runner(session, manifest(Task.TENSOR))
    assert runner.prepare(np.zeros(7)).feeds["x"].shape == (1, 7)
    assert runner.prepare(np.zeros((2, 3))).feeds["x"].shape == (2, 3)


def test_only_image_models_need_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "edge_node.pipeline.preprocess", raising=False)
    with pytest.raises(BadInput, match=r"images need Pillow, which is not installed: pip install 'nearfield\[image\]'"):
        classifier(tmp_path)
    assert value(recurrent(tmp_path), 1) == 4


def test_the_example_of_an_image_model_is_a_720p_frame(tmp_path: Path) -> None:
    example = classifier(tmp_path).example()
    assert isinstance(example, np.ndarray)
    assert example.shape == (720, 1280, 3)
