"""Operators of TFLite that need a look: what they call, and which arguments say how large their output is. A table.

Numbers: BuiltinOperator of https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from collections.abc import Iterator, Mapping, Sequence

from protos.admission.flatbuffer import Table
from protos.admission.limits import Inadmissible, Limits
from protos.admission.shapes import bounded, check_margins

OPTIONS, OPTIONS_2 = 4, 12
CUSTOM, PAD, PADV2, MIRROR_PAD, RANGE, CASE = 32, 34, 60, 100, 96, 209
PADS = (PAD, PADV2, MIRROR_PAD)

CALLS: Mapping[int, tuple[int, Sequence[int]]] = {
    31: (OPTIONS, (0,)),  # CALL
    118: (OPTIONS, (0, 1)),  # IF: then, else
    119: (OPTIONS, (0, 1)),  # WHILE: condition, body
    129: (OPTIONS, (0,)),  # CALL_ONCE
    174: (OPTIONS_2, (1,)),  # STABLEHLO_REDUCE
    190: (OPTIONS_2, (6,)),  # STABLEHLO_SCATTER
    198: (OPTIONS_2, (5,)),  # STABLEHLO_REDUCE_WINDOW
    199: (OPTIONS_2, (2,)),  # STABLEHLO_SORT
    200: (OPTIONS_2, (0, 1)),  # STABLEHLO_WHILE: condition, body
    206: (OPTIONS_2, (1,)),  # STABLEHLO_COMPOSITE
}
"""Where operators name the graphs that they run: the options, and the fields of these."""

SIZED_BY: Mapping[int, int] = {
    23: 1,  # RESIZE_BILINEAR
    67: 0,  # TRANSPOSE_CONV
    68: 1,  # SPARSE_TO_DENSE
    69: 1,  # TILE
    85: 1,  # ONE_HOT
    94: 0,  # FILL
    97: 1,  # RESIZE_NEAREST_NEIGHBOR
    122: 2,  # SCATTER_ND
    130: 1,  # BROADCAST_TO
    141: 0,  # CONV_3D_TRANSPOSE
    146: 0,  # RANDOM_STANDARD_NORMAL
    148: 0,  # RANDOM_UNIFORM
    **dict.fromkeys(PADS, 1),
}
"""Which input is a shape, a count or factors: their product is what the operator makes of one value."""
VECTORS: Mapping[int, Sequence[tuple[int, int]]] = {
    22: ((0, 4),),  # RESHAPE
    43: ((0, 4),),  # SQUEEZE
    115: ((0, 4),),  # BUCKETIZE
    142: ((0, 1), (1, 1)),  # VAR_HANDLE
}
"""Vectors in options that engines follow without looking: the field, and the bytes of an entry."""
CUSTOM_OPERATORS = frozenset(
    {"TFLite_Detection_PostProcess", "edgetpu-custom-op", "AudioSpectrogram", "Mfcc", "NumericVerify"}
)
"""Custom operators that LiteRT, or the delegate of a Coral, has built in."""


def called(operator: int, node: Table) -> Iterator[int]:
    """The graphs that a node runs."""
    if operator == CASE:
        options = node.table(OPTIONS_2)
        yield from () if options is None else options.integers(0, 256, "branches")
    where, fields = CALLS.get(operator, (OPTIONS, ()))
    options = node.table(where) if fields else None
    if options is not None:
        yield from (options.integer(field) for field in fields)


def check_options(operator: int, node: Table) -> None:
    """Return if a node's options are inside the file.

    Raises:
        Malformed: they are not.
    """
    options = node.table(OPTIONS)
    node.table(OPTIONS_2)
    if options is not None:
        for field, width in VECTORS.get(operator, ()):
            options.vector(field, width)


def check_custom(name: str) -> None:
    """Return if an engine has the operator.

    Raises:
        Inadmissible: none has.
    """
    if name not in CUSTOM_OPERATORS:
        raise Inadmissible(
            f"it needs the operator {name[:80]}, which litert does not have: convert it with built-in operators"
        )


def check_growth(operator: int, arguments: Sequence[Sequence[int] | None], limits: Limits) -> None:
    """Return if the constant arguments of an operator ask for no more than a tensor may have.

    Raises:
        Inadmissible: they ask for more.
    """
    place = SIZED_BY.get(operator)
    values = arguments[place] if place is not None and place < len(arguments) else None
    what = f"a tensor of operator {operator}"
    if values is not None and operator in PADS:
        check_margins(zip(values[::2], values[1::2], strict=False), limits, what)
    elif values is not None:
        bounded(values, limits, what)
    if operator == RANGE and len(arguments) == 3:
        start, limit, step = (values[0] if values else None for values in arguments)
        if start is not None and limit is not None and step:
            bounded([(limit - start) / step], limits, what)
