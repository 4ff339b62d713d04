"""What clients fill and get of a model, by its tensors and its manifest."""

import numpy as np
import pytest

from edge_node.engine.base import TensorSpec
from edge_node.errors import BadInput
from edge_node.lane.messages import Port
from edge_node.worker.ends import ends_of, example
from edge_node.worker.messages import LaneState
from protos.bundle import Input, Manifest, Output, Task

INPUTS = (
    TensorSpec("x", "float32", (None, 3)),
    TensorSpec("state", "float32", (2, None, 4)),
    TensorSpec("sr", "int64", ()),
)
OUTPUTS = (TensorSpec("y", "float32", (None, 1)), TensorSpec("stateN", "float32", (2, None, 4)))
STATE, RATE = Input(name="state", kind="state", source="stateN"), Input(name="sr", kind="constant", value=16000)


def _manifest(*inputs: Input, output: Output | None = None) -> Manifest:
    return Manifest("m", Task.TENSOR, (), inputs, (output,) if output else ())


def test_all_tensors_of_a_file_without_a_manifest_are_ports() -> None:
    ends = ends_of(INPUTS, OUTPUTS, None)
    assert list(ends.inputs) == ["x", "state", "sr"]
    assert ends.outputs["stateN"] == Port("stateN", "FP32", (2, -1, 4))
    assert not ends.states
    assert not ends.open_batch


def test_states_and_constants_of_a_manifest_are_the_worker_s() -> None:
    ends = ends_of(INPUTS, OUTPUTS, _manifest(STATE, RATE))
    assert (list(ends.inputs), list(ends.outputs)) == (["x"], ["y"])
    assert ends.states == {"state": "stateN"}
    assert ends.zeros["state"].shape == (2, 1, 4)
    assert ends.constants["sr"].tolist() == 16000
    assert not ends.open_batch, "a state is one sequence's"


def test_a_batch_is_possible_where_all_first_axes_are_open() -> None:
    assert ends_of(INPUTS[:1], OUTPUTS[:1], None).open_batch
    assert not ends_of(INPUTS[:1], (TensorSpec("y", "float32", (1, 1)),), None).open_batch
    assert not ends_of(INPUTS[:1], (TensorSpec("y", "float32", ()),), None).open_batch


def test_a_declared_range_is_the_port_s() -> None:
    ends = ends_of(INPUTS[:1], OUTPUTS[:1], _manifest(Input(low=0.0, high=1.0)))
    assert (ends.inputs["x"].low, ends.inputs["x"].high) == (0.0, 1.0)


def test_the_output_with_labels_is_named() -> None:
    labels = Output("classification", name="y", labels="labels.txt")
    assert ends_of(INPUTS[:1], OUTPUTS[:1], _manifest(output=labels)).labelled == "y"
    assert ends_of(INPUTS[:1], OUTPUTS[:1], None).labelled == ""


def test_an_example_fits_every_port() -> None:
    feeds = example(ends_of((*INPUTS, TensorSpec("t", "object", (None,))), OUTPUTS, _manifest(STATE, RATE)), 2)
    assert {name: (feed.shape, feed.dtype.name) for name, feed in feeds.items()} == {
        "x": ((2, 3), "float32"),
        "t": ((2,), "object"),
        "sr": ((), "int64"),
        "state": ((2, 1, 4), "float32"),
    }
    np.testing.assert_array_equal(feeds["t"], ["0", "0"])


def test_a_manifest_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="no output 'other' in the model"):
        ends_of(INPUTS, OUTPUTS, _manifest(Input(name="state", kind="state", source="other")))


def test_the_states_of_a_file_by_itself_are_the_worker_s_and_begin_as_they_say() -> None:
    hundred = np.full((2, 3, 4), 100, np.float32)
    ends = ends_of(INPUTS, OUTPUTS, None, [LaneState("state", "stateN", (2, 3, 4), hundred.tobytes())])
    assert (list(ends.inputs), list(ends.outputs)) == (["x", "sr"], ["y"])
    np.testing.assert_array_equal(ends.zeros["state"], hundred)
    begun = ends_of(INPUTS, OUTPUTS, None, [LaneState("state", "stateN", (2, 1, 4))]).zeros["state"]
    assert begun.shape == (2, 1, 4)
    assert not begun.any()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (LaneState("gone", "stateN", (2, 1, 4)), "there is no input 'gone' for a state: the inputs are x, state, sr"),
        (LaneState("state", "gone", (2, 1, 4)), "gone"),
        (LaneState("state", "stateN", (3, 1, 4)), r"the state 'state' has the shape \[3, 1, 4\]"),
        (LaneState("state", "stateN", (1, 2, 1, 4)), r"the state 'state' has the shape \[1, 2, 1, 4\]"),
        (LaneState("state", "stateN", (2, 1, 4), b"1234"), "the initial state of 'state' has 4 bytes, not 32"),
    ],
)
def test_a_state_that_does_not_fit_is_one_line(state: LaneState, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        ends_of(INPUTS, OUTPUTS, None, [state])
