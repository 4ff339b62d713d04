"""What is said on a lane.

A lane is one connection (SOCK_SEQPACKET) and one piece of shared memory that is cut into slots. The worker connects
and says `Hello`; the serving process answers with a `Grant` and the memory's descriptor. From then on a packet is a
batch: the numbers of slots (`=I` each). The serving process sends a batch whose slots hold an `Ask` each; the worker
sends the same numbers back when each slot holds an `Answer`. One crossing each way per batch, no tensor on the socket.

A slot is a 4-byte length (`=I`), that much MessagePack (the `Ask` or the `Answer`), and tensors at the offsets that
it names, aligned to 64 bytes. Whoever holds a slot's number may write into it: the serving process until it sends it,
the worker until it sends it back. The worker is not believed: the serving process checks what an answer says against
the slot's bounds.
"""

from typing import Literal

import msgspec


class Tensor(msgspec.Struct, frozen=True, array_like=True):
    """A tensor in a slot. `datatype` is the protocol's name (`FP32`, `BYTES`), `offset` counts from the slot's start.

    BYTES are laid out as on the wire: each element with its 4-byte little-endian length before it.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    offset: int
    size: int


class Sequence(msgspec.Struct, frozen=True, array_like=True):
    """Which sequence an ask belongs to, for models that keep a state from ask to ask."""

    id: int | str
    start: bool = False
    end: bool = False


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """One inference that is wanted. `outputs` are the names wanted, empty for all.

    `deadline_ns` is of CLOCK_MONOTONIC, which all processes of a machine share; 0 is none. Work that has not begun
    by then is not begun. `finite`: inputs with values that are not finite are refused, which clients of this machine
    may send (load generators do).
    """

    tensors: tuple[Tensor, ...]
    outputs: tuple[str, ...] = ()
    deadline_ns: int = 0
    sequence: Sequence | None = None
    finite: bool = False


Failure = Literal["", "invalid", "deadline", "busy", "failed"]
"""Why an ask has no tensors: it does not fit the model, its time was over, too many sequences are open, or the engine
gave up."""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What became of an ask: tensors in the same slot, or a failure with its reason in one line.

    The nanoseconds are the batch's: reading its inputs, the engine's work, writing its outputs. `batch` is how many
    samples (of all asks) the engine was given at once.
    """

    tensors: tuple[Tensor, ...] = ()
    failure: Failure = ""
    reason: str = ""
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0
    batch: int = 1


class Port(msgspec.Struct, frozen=True, array_like=True):
    """An input or output of a model as a client sees it. `shape` has -1 for open axes, the batch axis included.

    `low` and `high` are the declared range of an input's values, None where none is declared. `padded` are the axes
    in which asks of one batch may differ: the worker fills the shorter ones with zeros, and cuts answers back.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    padded: tuple[int, ...] = ()


class Hello(msgspec.Struct, frozen=True):
    """What the worker says first: which session this lane leads to, and what it takes and gives.

    `max_batch` is how many samples the engine takes at once along the first axis; 0: that axis is no batch axis.
    `recurrent`: it keeps a state per sequence, so asks are answered one by one and in order.
    """

    session: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    engine: str
    accelerator: str
    instances: int = 1
    max_batch: int = 0
    recurrent: bool = False
    sequence_idle_s: float = 0.0
    labels: tuple[str, ...] = ()
    """of the output that has classes, for the classification extension"""
    labelled: str = ""
    """the name of that output"""


class Grant(msgspec.Struct, frozen=True):
    """The serving process's answer, with the memory's descriptor: `slots` of `slot_bytes` each."""

    slots: int
    slot_bytes: int
