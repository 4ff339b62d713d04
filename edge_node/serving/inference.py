"""An inference between transports and models: what gRPC and REST turn requests into, and answers from.

Nothing here knows a transport, protobuf or JSON.
"""

from collections.abc import Sequence as Items
from enum import Enum

import msgspec

from edge_node.lane.messages import Sequence
from edge_node.serving.locality import is_local


class Kind(Enum):
    """Why a request has no answer. Each transport has its own status for each; metrics count by the value."""

    INVALID = "invalid"  # INVALID_ARGUMENT, 400
    NOT_FOUND = "not_found"  # NOT_FOUND, 404 (Triton: unknown model)
    NOT_READY = "not_ready"  # UNAVAILABLE, 503
    TOO_LARGE = "too_large"  # RESOURCE_EXHAUSTED, 413
    BUSY = "busy"  # RESOURCE_EXHAUSTED, 429, with retry-after
    DEADLINE = "deadline"  # DEADLINE_EXCEEDED, 504
    UNSUPPORTED = "unsupported"  # UNIMPLEMENTED, 501
    UNKNOWN_CALLER = "unknown_caller"  # UNAUTHENTICATED, 401
    DENIED = "denied"  # PERMISSION_DENIED, 403
    FAILED = "failed"  # INTERNAL, 500


class ServingError(Exception):
    """A request that is not answered: its kind, and one line for the client.

    `retry_after_s` says when to come back, for BUSY; `cause` is what metrics count it as, the kind's value by default.
    """

    def __init__(self, kind: Kind, reason: str, retry_after_s: float | None = None, cause: str = "") -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.cause = cause or kind.value


class InRegion(msgspec.Struct, frozen=True):
    """A place in shared memory that the client has registered: `size` bytes from `offset` of the region `name`."""

    name: str
    offset: int
    size: int


class InputTensor(msgspec.Struct, frozen=True):
    """An input: its bytes (little-endian, row-major; BYTES with lengths), or where they lie."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | memoryview | InRegion


class RequestedOutput(msgspec.Struct, frozen=True):
    """An output that the client wants. `classes` above 0 asks for that many classes as BYTES `score:index[:label]`."""

    name: str
    classes: int = 0
    region: InRegion | None = None


class Inference(msgspec.Struct, frozen=True):
    """A request. `version` is empty for the newest; no `outputs` means all of them.

    `priority` is 0 for the model's default, else 1 is first; `deadline_ns` is of CLOCK_MONOTONIC, 0 for none.
    """

    model: str
    version: str
    inputs: Items[InputTensor]
    outputs: Items[RequestedOutput] = ()
    id: str = ""
    priority: int = 0
    deadline_ns: int = 0
    sequence: Sequence | None = None


class OutputTensor(msgspec.Struct, frozen=True):
    """An output: its bytes, or where in the client's shared memory they were put."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | memoryview | InRegion


class Answered(msgspec.Struct, frozen=True):
    """The answer to an inference."""

    model: str
    version: str
    outputs: Items[OutputTensor]
    id: str = ""


class Caller(msgspec.Struct, frozen=True):
    """Who asks: the address of the other end, and the name of its key or certificate (empty on loopback)."""

    address: str
    name: str = ""
    scopes: frozenset[str] = frozenset({"infer", "admin"})

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return is_local(self.address)
