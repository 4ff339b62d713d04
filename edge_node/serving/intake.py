"""Turns an inference into an ask of a model: checked, and with its tensors' places in a slot.

Clients send the same names and shapes again and again, so what was found out about them is kept.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from edge_node.lane.messages import Hello, Tensor
from edge_node.lane.slot import Cut, DoesNotFit, aligned, places, static_bytes
from edge_node.serving.check import Shape, Taken, check_outputs, check_sequence, check_sizes, shape_of
from edge_node.serving.inference import Caller, Inference, InputTensor, Kind, ServingError
from edge_node.serving.lane import Asked

TOO_LATE = "the deadline was over before the inference began"
_KEPT = 256
"""shapes; with more of them all are found out again"""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a shape: `tensors` is None where the places depend on the content (BYTES)."""

    shape: Shape
    tensors: tuple[Tensor, ...] | None


class Intake:
    """Of one session: what it takes, and how its slots are cut."""

    def __init__(self, model: str, hello: Hello, cut: Cut, open_bytes: int, default_timeout_ns: int) -> None:
        inputs = {port.name: port for port in hello.inputs}
        outputs = {port.name: port for port in hello.outputs}
        self._taken = Taken(model, inputs, outputs, hello.max_batch)
        self._start = cut.head_bytes
        self._end = cut.head_bytes + _room(hello, open_bytes)
        self._recurrent = hello.recurrent
        self._default_timeout_ns = default_timeout_ns
        self._known: dict[tuple[tuple[str, str, tuple[int, ...]], ...], _Known] = {}

    def ask(self, inference: Inference, caller: Caller, now_ns: int) -> Asked:
        """The ask.

        Raises:
            ServingError: it does not fit the model, or is too late already.
        """
        inputs = inference.inputs
        known = self._known_of(inputs)
        sizes = check_sizes(known.shape, inputs)
        stateful = check_sequence(self._taken.model, inference.sequence) if self._recurrent else None
        return Asked(
            caller=caller.name or caller.address,
            form=known.shape.form,
            rows=known.shape.rows,
            size=sum(sizes),
            since_ns=now_ns,
            deadline_ns=self._deadline(inference, now_ns),
            priority=inference.priority,
            sequence=None if stateful is None else stateful.id,
            tensors=self._lay_out(inputs, sizes) if known.tensors is None else known.tensors,
            data=[tensor.data for tensor in inputs],
            names=check_outputs(self._taken, inference.outputs) if inference.outputs else (),
            requested=inference.outputs,
            stateful=stateful,
            answer=asyncio.get_running_loop().create_future(),
            finite=not caller.is_local,
        )

    def _known_of(self, inputs: Sequence[InputTensor]) -> _Known:
        key = tuple([(tensor.name, tensor.datatype, tensor.shape) for tensor in inputs])
        known = self._known.get(key)
        if known is None:
            shape = shape_of(self._taken, inputs)
            fixed = [size for size in shape.sizes if size is not None]
            known = _Known(shape, self._lay_out(inputs, fixed) if len(fixed) == len(inputs) else None)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = known
        return known

    def _lay_out(self, inputs: Sequence[InputTensor], sizes: Sequence[int]) -> tuple[Tensor, ...]:
        try:
            offsets = places(sizes, self._start, self._end)
        except DoesNotFit:
            most = self._end - self._start
            reason = f"inputs of {sum(sizes)} bytes are too large for model '{self._taken.model}': at most {most}"
            raise ServingError(Kind.TOO_LARGE, reason) from None
        return tuple(
            Tensor(tensor.name, tensor.datatype, tensor.shape, offset, size)
            for tensor, offset, size in zip(inputs, offsets, sizes, strict=True)
        )

    def _deadline(self, inference: Inference, now_ns: int) -> int:
        default_ns = self._default_timeout_ns
        deadline_ns = inference.deadline_ns or (now_ns + default_ns if default_ns else 0)
        if 0 < deadline_ns <= now_ns:
            raise ServingError(Kind.DEADLINE, TOO_LATE)
        return deadline_ns


def _room(hello: Hello, open_bytes: int) -> int:
    """What inputs may take of a slot; the rest is for outputs."""
    sizes = [static_bytes(port, hello.max_batch) for port in hello.inputs]
    known = sum(aligned(size) for size in sizes if size is not None)
    return known + (aligned(open_bytes) if None in sizes else 0)
