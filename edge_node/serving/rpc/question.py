"""A serialized ModelInferRequest as an `Inference`: pure; the time is an argument."""

from collections.abc import Iterator

from edge_node.serving.inference import Inference, InputTensor, Kind, ServingError
from edge_node.serving.rpc.head import Head, read_head
from edge_node.serving.rpc.raw_contents import Malformed, take_apart

LONGEST_NS = 30 * 24 * 3600 * 10**9
"""A call that may take longer has no deadline."""


def inference_of(message: bytes, now_ns: int, remaining_s: float | None) -> Inference:
    """What a client asks for. Raw tensors stay views of the message.

    Args:
        message: as it came.
        now_ns: CLOCK_MONOTONIC.
        remaining_s: until the client's deadline, None where it has none. Its `timeout` may be earlier.

    Raises:
        ServingError: INVALID.
    """
    try:
        apart = take_apart(message)
    except Malformed as error:
        raise ServingError(Kind.INVALID, f"the request is no ModelInferRequest: {error}") from None
    head = read_head(apart.head)
    return Inference(
        model=head.model,
        version=head.version,
        inputs=_inputs(head, apart.raw),
        outputs=head.outputs,
        id=apart.id,
        priority=head.priority,
        deadline_ns=_deadline(now_ns, remaining_s, head.timeout_us),
        sequence=head.sequence,
    )


def _inputs(head: Head, raw: list[memoryview]) -> list[InputTensor]:
    """The inputs; raw tensors belong, in their order, to those that have no data elsewhere."""
    if raw and (head.typed or len(raw) > head.raw):
        raise ServingError(Kind.INVALID, _too_much(head, raw))
    rest = iter(raw)
    return [
        InputTensor(name, datatype, shape, _next(rest, head, name, shape) if data is None else data)
        for name, datatype, shape, data in head.inputs
    ]


def _too_much(head: Head, raw: list[memoryview]) -> str:
    if head.typed:
        return (
            "contents field must not be specified when using raw_input_contents "
            f"for '{head.typed}' for model '{head.model}'"
        )
    return f"expected {head.raw} raw_input_contents but got {len(raw)} for model '{head.model}'"


def _next(rest: Iterator[memoryview], head: Head, name: str, shape: tuple[int, ...]) -> bytes | memoryview:
    """The next raw tensor. An input without an element needs none."""
    for tensor in rest:
        return tensor
    if 0 in shape:
        return b""
    raise ServingError(Kind.INVALID, f"unable to find data for input '{name}' for model '{head.model}' in request")


def _deadline(now_ns: int, remaining_s: float | None, timeout_us: int) -> int:
    """The earlier of the call's deadline and the request's timeout; 0 for none."""
    waits = [timeout_us * 1000] if timeout_us else []
    if remaining_s is not None:
        waits.append(int(remaining_s * 1e9))
    wait = min(waits, default=LONGEST_NS)
    return now_ns + wait if wait < LONGEST_NS else 0
