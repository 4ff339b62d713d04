"""What clients fill and get of a loaded model: the ports of its lane, and what the worker fills itself. Pure.

A bundle's inputs of kind `constant` and `state` are no ports, nor are the outputs that states come from. A raw model
file has no manifest: all of its tensors are ports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from edge_node.engine.base import Array, TensorSpec
from edge_node.errors import BadInput
from edge_node.lane.messages import Port
from edge_node.pipeline.inputs import constant_feed, match_inputs
from edge_node.pipeline.postprocess import output_named
from edge_node.pipeline.tensors import static_shape
from edge_node.worker.messages import LaneState
from protos.bundle import Manifest
from protos.inference.datatypes import DATATYPES, NUMPY


@dataclass(frozen=True)
class Ends:
    """A model as its lane shows it, by the names of tensors.

    `states` are inputs with the output that each comes from; `zeros` is the state that a sequence begins with, zeros
    unless a file says otherwise.
    `labelled` is the output that has classes with names.
    """

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    constants: Mapping[str, Array] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    zeros: Mapping[str, Array] = field(default_factory=dict)
    labelled: str = ""

    @property
    def open_batch(self) -> bool:
        """Whether the first axis of everything is open, so that it may be a batch's."""
        ports = (*self.inputs.values(), *self.outputs.values())
        return not self.states and all(port.shape[:1] == (-1,) for port in ports)


def ends_of(
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    manifest: Manifest | None,
    implicit: Sequence[LaneState] = (),
) -> Ends:
    """The ends of a model with these tensors.

    Args:
        inputs: of the engine.
        outputs: of the engine.
        manifest: of the bundle, None for a file by itself.
        implicit: the states of a file by itself.

    Raises:
        BadInput: the manifest or a state does not fit them.
    """
    matched = match_inputs(() if manifest is None else manifest.inputs, inputs)
    states = {spec.name: output_named(given.source, outputs).name for given, spec in matched if given.kind == "state"}
    begun = {one.input: _begun(one, inputs) for one in implicit}
    states |= {one.input: output_named(one.output, outputs).name for one in implicit}
    answers = [spec for spec in outputs if spec.name not in states.values()]
    return Ends(
        inputs={
            spec.name: msgspec.structs.replace(_port(spec), low=given.low, high=given.high)
            for given, spec in matched
            if given.kind != "constant" and spec.name not in states
        },
        outputs={spec.name: _port(spec) for spec in answers},
        constants={spec.name: constant_feed(given, spec) for given, spec in matched if given.kind == "constant"},
        states=states,
        zeros={
            spec.name: begun.get(spec.name, np.zeros(static_shape(spec), spec.dtype))
            for spec in inputs
            if spec.name in states
        },
        labelled="" if manifest is None else _labelled(manifest, answers),
    )


def example(ends: Ends, batch: int) -> dict[str, Array]:
    """Feeds that fit the ports: zeros, texts of "0"; open axes are 1, the first `batch`.

    A model that reads numbers of its texts, as Triton's example does, fails with empty ones.
    """
    feeds: dict[str, Array] = {}
    for name, port in ends.inputs.items():
        shape = [1 if axis < 0 else axis for axis in port.shape]
        if port.shape[:1] == (-1,):
            shape[0] = batch
        feeds[name] = np.full(shape, "0", object) if port.datatype == "BYTES" else np.zeros(shape, NUMPY[port.datatype])
    return {**feeds, **ends.constants, **ends.zeros}


def _begun(state: LaneState, inputs: Sequence[TensorSpec]) -> Array:
    """What a sequence begins with."""
    spec = next((one for one in inputs if one.name == state.input), None)
    if spec is None:
        raise BadInput(f"there is no input {state.input!r} for a state: the inputs are {_names(inputs)}")
    shape = (*[1] * (len(spec.shape) - len(state.shape)), *state.shape)
    fits = len(shape) == len(spec.shape) and all(
        axis in (None, size) for axis, size in zip(spec.shape, shape, strict=True)
    )
    if not fits or spec.dtype == "object":
        raise BadInput(f"the state {state.input!r} has the shape {list(state.shape)}, the model's {list(spec.shape)}")
    zeros = np.zeros(shape, spec.dtype)
    if not state.initial:
        return zeros
    if len(state.initial) != zeros.nbytes:
        raise BadInput(f"the initial state of {state.input!r} has {len(state.initial)} bytes, not {zeros.nbytes}")
    return np.frombuffer(state.initial, spec.dtype).reshape(shape)


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs)


def _labelled(manifest: Manifest, answers: Sequence[TensorSpec]) -> str:
    given = next((one for one in manifest.outputs if one.labels is not None and one.decode == "classification"), None)
    return "" if given is None else output_named(given.name, answers).name


def _port(spec: TensorSpec) -> Port:
    return Port(spec.name, DATATYPES[spec.dtype], tuple(-1 if axis is None else axis for axis in spec.shape))
