"""Tensors of an `.onnx` file: as large as they say, as much as they have, and where they are kept.

Field numbers: TensorProto, SparseTensorProto and TypeProto of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from protos.admission.limits import Inadmissible, Malformed, Work
from protos.admission.shapes import elements
from protos.admission.wire import Buffer, Message, Value, fields, integers, text_of
from protos.bundle import checked_path
from protos.errors import ContractError

DIMS, DATA_TYPE, FLOAT_DATA, INT32_DATA, STRING_DATA, INT64_DATA, NAME, RAW = 1, 2, 4, 5, 6, 7, 8, 9
DOUBLE_DATA, UINT64_DATA, EXTERNAL_DATA, DATA_LOCATION = 10, 11, 13, 14
STORED = (FLOAT_DATA, INT32_DATA, STRING_DATA, INT64_DATA, RAW, DOUBLE_DATA, UINT64_DATA)
ENTRY_KEY, ENTRY_VALUE = 1, 2
SPARSE_VALUES, SPARSE_INDICES, SPARSE_DIMS = 1, 2, 3
TYPE_OF_VALUE, TYPE_TENSOR, TYPE_SPARSE = 2, 1, 8
NESTED_TYPES = {4: 1, 5: 2, 9: 1}
"""Kinds of a TypeProto that hold another one (sequence, map, optional), and in which field."""
SHAPE, DIM, DIM_VALUE = 2, 1, 1

FLOAT, INT32, INT64, STRING, BOOL, DOUBLE = 1, 6, 7, 8, 9, 11
BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16}
BITS |= dict.fromkeys((17, 18, 19, 20, 24), 8) | dict.fromkeys((21, 22, 23), 4) | dict.fromkeys((25, 26), 2)
"""Of one value, by TensorProto.DataType."""
RAW_FORMATS = {FLOAT: "f", INT32: "i", INT64: "q", BOOL: "?", DOUBLE: "d"}
FEW = 64
"""Values of a constant that is read: shapes, counts, factors."""

Files = Callable[[str], int | None]
"""The size in bytes of a file beside the model that it may read, by relative path; None: it may not."""
Numbers = tuple[float, ...]


@dataclass
class Tensor:
    """What a TensorProto holds: bytes by field, only the first few integers as values."""

    name: str = ""
    data_type: int = 0
    dims: list[int] = field(default_factory=list)
    stored: int = 0
    raw: Buffer | None = None
    values: list[float] = field(default_factory=list)
    external: list[Buffer] = field(default_factory=list)
    outside: bool = False


class Tensors:
    """Checks tensors and adds them up."""

    def __init__(self, files: Files, work: Work) -> None:
        self._files = files
        self._work = work
        self._limits = work.limits
        self._count = self._bytes = 0

    def check(self, content: Value) -> tuple[str, Numbers | None]:
        """The name of a tensor and, where it is a small constant of common numbers, its values.

        Raises:
            Inadmissible: it is beyond a limit, has less content than it says, or content elsewhere.
        """
        tensor = self._read(content)
        count = elements(tensor.dims, self._limits, f"a tensor {tensor.name[:80]!r}")
        self.add(count, tensor.data_type)
        if tensor.outside or tensor.external:
            self._check_outside(tensor, count)
            return tensor.name, None
        if _least_bits(tensor) * count > 8 * tensor.stored:
            raise Inadmissible(f"the tensor {tensor.name[:80]!r} says {count} values and has {tensor.stored} bytes")
        return tensor.name, _numbers(tensor, count)

    def check_sparse(self, content: Value) -> None:
        """As `check`, of a SparseTensorProto: it counts as large as it is when dense.

        Raises:
            Inadmissible: see `check`.
        """
        message = Message(content, self._work)
        for part in (SPARSE_VALUES, SPARSE_INDICES):
            inner = message.one(part)
            if inner is not None:
                self.check(inner)
        dims = [axis for value in message.all(SPARSE_DIMS) for axis in _some(value, self._work)]
        self.add(elements(dims, self._limits, "a sparse tensor"), DOUBLE)

    def check_type(self, content: Value, depth: int = 0) -> None:
        """A TypeProto declares nothing beyond the limits; axes that are open (or -1, as old exporters write) are 1.

        Raises:
            Inadmissible: it does, or holds types too deep.
        """
        if depth > self._limits.graph_depth:
            raise Inadmissible(f"types nested deeper than {self._limits.graph_depth}")
        message = Message(content, self._work)
        for kind in (TYPE_TENSOR, TYPE_SPARSE):
            inner = message.one(kind)
            shape = None if inner is None else Message(inner, self._work).one(SHAPE)
            if shape is not None:
                self._check_shape(shape)
        for kind, held in NESTED_TYPES.items():
            outer = message.one(kind)
            inner = None if outer is None else Message(outer, self._work).one(held)
            if inner is not None:
                self.check_type(inner, depth + 1)

    def add(self, count: int, data_type: int) -> None:
        """Add a tensor up.

        Raises:
            Inadmissible: too many tensors, or too many bytes of them.
        """
        self._count += 1
        self._bytes += count * BITS.get(data_type, 8) // 8
        if self._count > self._limits.tensors:
            raise Inadmissible(f"more than {self._limits.tensors} constants")
        if self._bytes > self._limits.weight_bytes:
            raise Inadmissible(f"more than {self._limits.weight_bytes} bytes of constants")

    def _check_shape(self, content: Value) -> None:
        if isinstance(content, int):
            raise Malformed("a number in place of a shape")
        dims: list[int] = []
        for number, value in fields(content, self._work):
            if number == DIM and len(dims) <= self._limits.axes:
                axis = Message(value, self._work).integer(DIM_VALUE, 1)
                dims.append(1 if axis == -1 else axis)
        elements(dims, self._limits, "a declared tensor")

    def _read(self, content: Value) -> Tensor:
        if isinstance(content, int):
            raise Malformed("a number in place of a tensor")
        tensor, seen = Tensor(), set[int]()
        for number, value in fields(content, self._work):
            if number in (DATA_TYPE, NAME, RAW, DATA_LOCATION):
                if number in seen:
                    raise Malformed(f"field {number} of a tensor twice")
                seen.add(number)
            self._take(tensor, number, value)
        return tensor

    def _take(self, tensor: Tensor, number: int, value: Value) -> None:
        """One field of a tensor."""
        if number == DIMS:
            tensor.dims += _some(value, self._work)
        elif number in STORED:
            _store(tensor, number, value)
        elif number == NAME:
            tensor.name = text_of(value, self._work)
        elif number == DATA_TYPE and isinstance(value, int):
            tensor.data_type = value
        elif number == DATA_LOCATION:
            tensor.outside = value != 0
        elif number == EXTERNAL_DATA and isinstance(value, memoryview):
            if len(tensor.external) >= self._limits.axes:
                raise Malformed("a tensor in too many places")
            tensor.external.append(value)
        if len(tensor.dims) > self._limits.axes:
            raise Inadmissible(f"a tensor of more than {self._limits.axes} axes")

    def _check_outside(self, tensor: Tensor, count: int) -> None:
        """The other file is one that the model may read, and has what the tensor needs."""
        where = self._place(tensor)
        location = where.get("location", "")
        try:
            checked_path(location)
        except ContractError:
            raise Inadmissible(f"it keeps weights at {location[:200]!r}, outside its folder") from None
        size = self._files(location)
        if size is None:
            raise Inadmissible(f"it keeps weights in {location[:200]!r}, which is no file of the bundle or its folder")
        offset, length = _count(where.get("offset", "0")), _count(where.get("length", "0"))
        needed = max(length, count * BITS.get(tensor.data_type, 1) // 8)
        if offset + needed > size:
            raise Inadmissible(f"weights behind the end of {location[:200]!r}")

    def _place(self, tensor: Tensor) -> dict[str, str]:
        where: dict[str, str] = {}
        for entry in tensor.external:
            pair = Message(entry, self._work)
            key = pair.text(ENTRY_KEY)
            if key in where:
                raise Malformed(f"a tensor with two values of {key[:80]!r}")
            where[key] = pair.text(ENTRY_VALUE)
        return where


def _store(tensor: Tensor, number: int, value: Value) -> None:
    """Count what is stored; keep the first values of what is read."""
    if isinstance(value, memoryview):
        tensor.stored += 8 if number == STRING_DATA else len(value)
    else:
        tensor.stored += 1
    if number == RAW and isinstance(value, memoryview):
        tensor.raw = value
    elif number in (INT32_DATA, INT64_DATA) and (isinstance(value, int) or len(value) <= 10 * FEW):
        tensor.values += [] if len(tensor.values) > FEW else integers(value)
    elif number == FLOAT_DATA and isinstance(value, memoryview) and len(value) <= 4 * FEW:
        tensor.values += [] if len(tensor.values) > FEW else _floats(value)


def _floats(content: Buffer) -> Numbers:
    if len(content) % 4:
        raise Malformed("floats of other than 4 bytes")
    return struct.unpack(f"<{len(content) // 4}f", content)


def _least_bits(tensor: Tensor) -> int:
    """What a value takes at least where it is stored: a varint of a byte, if it is not raw or floating."""
    bits = 64 if tensor.data_type == STRING else BITS.get(tensor.data_type, 1)
    floating = tensor.data_type in (FLOAT, DOUBLE, 14, 15, STRING)
    return bits if tensor.raw is not None or floating else min(bits, 8)


def _numbers(tensor: Tensor, count: int) -> Numbers | None:
    """The values of a small constant."""
    layout = RAW_FORMATS.get(tensor.data_type)
    if layout is None or count > FEW:
        return None
    if tensor.raw is not None:
        size = struct.calcsize(f"<{count}{layout}")
        return struct.unpack(f"<{count}{layout}", tensor.raw[:size]) if len(tensor.raw) >= size else None
    return tuple(tensor.values) if len(tensor.values) == count else None


def _some(value: Value, work: Work) -> list[int]:
    """Axes of a shape, packed or not."""
    if isinstance(value, memoryview) and len(value) > 10 * work.limits.axes:
        raise Inadmissible(f"a tensor of more than {work.limits.axes} axes")
    return list(integers(value))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise Inadmissible(f"weights at {text[:80]!r}, which is no count of bytes")
    return int(text)
