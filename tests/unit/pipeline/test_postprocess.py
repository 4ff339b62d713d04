"""From output tensors to answers."""

from typing import Any

import numpy as np
import pytest

from edge_node.engine.base import TensorSpec
from edge_node.errors import BadInput
from edge_node.pipeline.decoders import decoder_for
from edge_node.pipeline.inputs import Prepared
from edge_node.pipeline.placement import Placement, Size, place
from edge_node.pipeline.postprocess import Options, activate
from protos.bundle import Manifest, Output, Task, Variant
from protos.result import Anomaly, Classified, Detected, Tensor

FLOAT = "float32"
LABELS = ("cat", "dog", "owl")
LABELLED = Manifest(
    "m",
    Task.CLASSIFICATION,
    (Variant("m.stub", "stub"),),
    outputs=(Output(decode="classification", labels="words.txt"),),
)


def decoded(
    arrays: dict[str, Any],
    specs: list[TensorSpec],
    labels: tuple[str, ...] = (),
    options: Options | None = None,
    prepared: Prepared | None = None,
    **output: Any,
) -> Any:
    manifest = Manifest("m", Task(output["decode"]), (Variant("m.stub", "stub"),), outputs=(Output(**output),))
    decode = decoder_for(manifest, specs, labels, options or Options(), Size(100, 100))
    return decode(arrays, prepared or Prepared({}))


def classified(values: Any, labels: tuple[str, ...] = LABELS, dtype: str = FLOAT, **more: Any) -> Any:
    quantized = more.pop("quantized", (None, None))
    array = np.asarray([values], dtype)
    spec = TensorSpec("y", dtype, array.shape, *quantized)
    return decoded({"y": array}, [spec], labels, decode="classification", **more)


def test_the_best_classes_come_first() -> None:
    assert classified([0.1, 0.7, 0.2], top_k=2) == (Classified("dog", 0.7, 1), Classified("owl", 0.2, 2))


def test_of_equal_classes_the_first_comes_first() -> None:
    assert [one.label for one in classified([0.5, 0.1, 0.5], top_k=3)] == ["cat", "owl", "dog"]


def test_scores_are_dequantized() -> None:
    assert classified([-128, 127, 0], dtype="int8", quantized=(1 / 256, -128)) == (Classified("dog", 0.996094, 1),)


def test_unsigned_scores_are_sorted_as_numbers() -> None:
    assert [one.index for one in classified([3, 255, 128], dtype="uint8", quantized=(1 / 256, 0), top_k=3)] == [1, 2, 0]


def test_without_labels_a_class_is_its_number() -> None:
    assert classified([0.1, 0.9], labels=()) == (Classified("1", 0.9, 1),)


def test_logits_become_probabilities() -> None:
    (best,) = classified([1.0, 3.0, 2.0], activation="softmax")
    assert best.score == pytest.approx(np.exp(3) / np.exp([1, 3, 2]).sum(), abs=1e-6)


def test_a_pipeline_may_ask_for_more_classes() -> None:
    assert len(classified([0.1, 0.7, 0.2], options=Options(top_k=3))) == 3


def test_labels_of_the_wrong_number_are_one_clear_line() -> None:
    spec = TensorSpec("y", FLOAT, (1, 3))
    with pytest.raises(BadInput, match=r"^words\.txt has 2 labels, the output 'y' 3 classes: one line per class$"):
        decoder_for(LABELLED, [spec], ("a", "b"), Options(), None)


@pytest.mark.parametrize("values", [[1000.0, -1000.0], [-1e30, 0.0]])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_activations_do_not_overflow(values: list[float], activation: str) -> None:
    found = activate(np.array(values, np.float32), activation)
    assert ((found >= 0) & (found <= 1)).all()


def anomaly(real: Any, rebuilt: Any, **more: Any) -> Any:
    array = np.asarray([rebuilt], np.float32)
    spec = TensorSpec("y", FLOAT, array.shape)
    prepared = Prepared({}, real=None if real is None else np.asarray(real, np.float32))
    return decoded({"y": array}, [spec], prepared=prepared, decode="anomaly", **more)


def test_an_anomaly_is_the_mean_squared_difference() -> None:
    assert anomaly([1, 2, 3, 4], [1, 2, 3, 8]) == (Anomaly(4.0),)


@pytest.mark.parametrize(("threshold", "verdict"), [(3.9, True), (4.0, False)])
def test_a_threshold_gives_a_verdict(threshold: float, verdict: bool) -> None:
    assert anomaly([0, 0], [2, 2], threshold=threshold) == (Anomaly(4.0, threshold, verdict),)


def test_a_pipeline_may_set_the_threshold() -> None:
    assert anomaly([0, 0], [2, 2], threshold=9.0, options=Options(threshold=1.0)) == (Anomaly(4.0, 1.0, True),)


@pytest.mark.parametrize("real", [None, [1, 2, 3]])
def test_what_is_no_reconstruction_is_refused(real: Any) -> None:
    with pytest.raises(BadInput, match="the output 'y' is not a reconstruction of the input"):
        anomaly(real, [1, 2])


def test_tensors_are_given_dequantized_and_cut_off() -> None:
    specs = [TensorSpec("a", "int8", (1, 3), 0.5, 1), TensorSpec("b", FLOAT, (2,))]
    arrays = {"a": np.array([[1, 3, 5]], np.int8), "b": np.array([1, 2], np.float32)}
    assert decoded(arrays, specs, decode="tensor", name="a", max_values=2) == (Tensor("a", (1, 3), (0.0, 1.0)),)


BOXES = np.array([[[0.1, 0.1, 0.3, 0.3], [0.11, 0.1, 0.3, 0.3], [0.6, 0.6, 0.8, 0.9]]], np.float32)
SCORES = np.array([[[0.1, 0.9, 0.0], [0.2, 0.8, 0.0], [0.05, 0.05, 0.9]]], np.float32)
BOX_SPECS = [TensorSpec("scores", FLOAT, (1, 3, 3)), TensorSpec("boxes", FLOAT, (1, 3, 4))]


def detected(prepared: Prepared | None = None, labels: tuple[str, ...] = LABELS, **more: Any) -> Any:
    arrays = {"scores": SCORES, "boxes": BOXES}
    return decoded(arrays, BOX_SPECS, labels, prepared=prepared, decode="detection", **more)


def test_overlapping_boxes_of_a_class_leave_the_best() -> None:
    assert detected() == (
        Detected("dog", 0.9, (0.1, 0.1, 0.3, 0.3)),
        Detected("owl", 0.9, (0.6, 0.6, 0.8, 0.9)),
    )


def test_the_background_is_never_found() -> None:
    assert [one.label for one in detected(background=1, score_threshold=0.15)] == ["owl", "cat"]


def test_a_label_file_may_leave_the_background_out() -> None:
    assert [one.label for one in detected(labels=("dog", "owl"), background=0)] == ["dog", "owl"]


def test_a_background_that_is_no_class_is_refused() -> None:
    with pytest.raises(BadInput, match="background 3 is no class: the model has 3, from 0 on"):
        detected(background=3)


def test_a_pipeline_may_set_the_score_threshold() -> None:
    assert detected(options=Options(score_threshold=0.95)) == ()


def test_boxes_are_of_the_frame_not_of_the_input() -> None:
    placement: Placement = place("letterbox", Size(200, 100), Size(100, 100))
    (dog, owl) = detected(Prepared({}, placement=placement))
    assert dog.box == pytest.approx((0.1, 0.0, 0.3, 0.1), abs=1e-5)
    assert owl.box == pytest.approx((0.6, 0.7, 0.8, 1.0), abs=1e-5)


def test_a_yolo_head_has_centres_and_sizes_in_pixels() -> None:
    rows = np.array([[20, 20, 20, 20, 0.9, 0.1], [70, 75, 20, 30, 0.2, 0.8]], np.float32)
    array = rows.T[None]
    spec = TensorSpec("y", FLOAT, array.shape)
    found = decoded({"y": array}, [spec], ("a", "b"), decode="detection", head="yolo")
    assert [one.label for one in found] == ["a", "b"]
    assert found[0].box == pytest.approx((0.1, 0.1, 0.3, 0.3), abs=1e-5)
    assert found[1].box == pytest.approx((0.6, 0.6, 0.8, 0.9), abs=1e-5)


def test_tflite_detections_are_read_up_to_their_count() -> None:
    arrays = {
        "boxes": np.array([[[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0, 0, 1, 1]]], np.float32),
        "classes": np.array([[2, 7, 0]], np.float32),
        "scores": np.array([[0.6, 0.9, 0.99]], np.float32),
        "count": np.array([2], np.float32),
    }
    specs = [TensorSpec(name, FLOAT, array.shape) for name, array in arrays.items()]
    found = decoded(arrays, specs, LABELS, decode="detection", head="tflite_ssd")
    assert [one.label for one in found] == ["7", "owl"]
    assert found[1].box == pytest.approx((0.2, 0.1, 0.4, 0.3))


@pytest.mark.parametrize(
    ("specs", "more", "said"),
    [
        ([TensorSpec("a", FLOAT, (1, 9, 4)), TensorSpec("b", FLOAT, (1, 9, 4))], {}, "set both names in model.toml"),
        ([TensorSpec("a", FLOAT, (1, 84))], {"head": "yolo"}, "is not \\[1, 4 \\+ classes, n\\] of an image model"),
        ([TensorSpec("a", FLOAT, (1, 84))], {"head": "tflite_ssd"}, "has four outputs, the model 1"),
        ([TensorSpec("a", FLOAT, (1, 9, 4))], {"boxes": "a", "scores": "z"}, "no output 'z' in the model: it has a"),
    ],
)
def test_outputs_that_are_not_those_of_the_head_are_refused(
    specs: list[TensorSpec], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        decoded({}, specs, decode="detection", **more)


@pytest.mark.parametrize("task", [Task.SEGMENTATION, Task.KEYPOINTS, Task.EMBEDDING, Task.CLASSIFICATION])
def test_a_task_without_a_fitting_output_names_those_that_can_be_read(task: Task) -> None:
    manifest = Manifest("m", task, (Variant("m.stub", "stub"),), outputs=(Output(decode="tensor"),))
    with pytest.raises(BadInput, match="this version reads classification, detection, anomaly, tensor"):
        decoder_for(manifest, [TensorSpec("y", FLOAT, (1, 3))], (), Options(), None)
