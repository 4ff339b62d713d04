"""Operators of ONNX that need a look: whose they are, and which arguments say how large their output is. A table."""

from collections.abc import Mapping, Sequence

from protos.admission.limits import Inadmissible, Limits
from protos.admission.onnx_tensors import Numbers
from protos.admission.shapes import bounded, check_margins

STANDARD = ("", "ai.onnx")
DOMAINS = (
    *STANDARD,
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
)
"""Whose operators ONNX Runtime has built in."""
FORBIDDEN = {"EPContext": "names a compiled file for an accelerator", "ImageDecoder": "decodes images"}
"""Operators that read a file, or a format with parsers of its own."""

SIZED_BY: Mapping[str, Sequence[int]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1,),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "OneHot": (1,),
    "Pad": (1,),
    "Resize": (2, 3),
    "Tile": (1,),
    "Upsample": (1,),
}
"""Which inputs are shapes, counts or factors: their product is what the operator makes of one value."""
SIZING_ATTRIBUTES = frozenset(
    {"pads", "shape", "output_shape", "output_padding", "strides", "dilations", "kernel_shape", "scales", "repeats"}
)
"""Attributes of any operator that are the same."""


def check_operator(operator: str, domain: str, *, own: bool) -> None:
    """Return if an engine has it, or the model defines it as a function.

    Raises:
        Inadmissible: neither.
    """
    name = f"{domain}.{operator}" if domain else operator
    if operator in FORBIDDEN:
        raise Inadmissible(f"the operator {name[:80]}, which {FORBIDDEN[operator]}")
    if domain not in DOMAINS and not own:
        raise Inadmissible(
            f"it needs the operator {name[:80]}, which onnxruntime does not have: export it with standard operators"
        )


def check_growth(operator: str, arguments: Sequence[Numbers | None], limits: Limits) -> None:
    """Return if the constant arguments of an operator ask for no more than a tensor may have.

    Args:
        operator: of the standard domain.
        arguments: the values of each input, None where they are not constant.
        limits: what a tensor may have.

    Raises:
        Inadmissible: they ask for more.
    """
    for place in SIZED_BY.get(operator, ()):
        values = arguments[place] if place < len(arguments) else None
        if values is not None:
            check_sizes("pads" if operator == "Pad" else "", values, operator, limits)
    if operator == "Range" and len(arguments) == 3:
        start, limit, step = (values[0] if values else None for values in arguments)
        if start is not None and limit is not None and step:
            bounded([(limit - start) / step], limits, "a tensor of Range")


def check_sizes(name: str, values: Sequence[float], operator: str, limits: Limits) -> None:
    """Return if the values of a sizing attribute ask for no more than a tensor may have.

    Raises:
        Inadmissible: they ask for more.
    """
    what = f"a tensor of {operator[:80]}"
    if name == "pads":  # first what comes before each axis, then what comes behind
        half = len(values) // 2
        check_margins(zip(values[:half], values[half:], strict=False), limits, what)
    else:
        bounded(values, limits, what)
