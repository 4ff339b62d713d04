"""A float `.onnx` model made INT8 with the ranges that its tensors take on real samples: ONNX Runtime's quantizer.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html. The quantizer opens the model and writes
files while it works: to be called in a process that a hostile model may take with it.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

from edge_node.engine import onnx as door  # tells the library to report nothing, before anything of it is loaded
from edge_node.engine.base import Array
from edge_node.errors import BadInput, NearfieldError

Method = Literal["minmax", "entropy", "percentile"]
SCALES_PER_CHANNEL = 13
QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear"})
"""Operators of models that are quantized."""


@dataclass(frozen=True)
class Quantizing:
    """How: the range of a tensor is its least and largest value, or what loses the least information, or all but the
    rarest values. `per_channel`: each output channel of a weight has a scale of its own. `reduce_range`: weights of 7
    bits, for x86 processors without VNNI, where sums of 8-bit products overflow.
    """

    method: Method = "minmax"
    per_channel: bool = True
    reduce_range: bool = False


def quantized(model: Path, feeds: Iterable[dict[str, Array]], how: Quantizing, folder: Path) -> bytes:
    """The quantized model, QDQ: operators stay, with quantization around them, so that every provider can run it.

    Args:
        model: the `.onnx` file.
        feeds: the inputs of real samples, by name.
        how: see `Quantizing`.
        folder: where files may be written.

    Raises:
        BadInput: the onnx package is not installed, or the model cannot be quantized.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        raise BadInput("quantizing needs the onnx package: pip install 'nearfield[author]'") from None
    methods = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "entropy": quantization.CalibrationMethod.Entropy,
        "percentile": quantization.CalibrationMethod.Percentile,
    }
    tempfile.tempdir = str(folder)  # the quantizer's own files go there, too
    logging.disable(logging.WARNING)  # advice on options of the quantizer that are not ours
    door.quiet()
    prepared, made = folder / "prepared.onnx", folder / "quantized.onnx"
    try:
        _check_float(model)
        with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()):  # it talks to itself
            quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
            _raise_opset(prepared)
            quantization.quantize_static(
                str(prepared),
                str(made),
                _Reader(iter(feeds)),
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=how.per_channel,
                reduce_range=how.reduce_range,
                calibrate_method=methods[how.method],
            )
    except NearfieldError:
        raise
    except Exception as error:  # noqa: BLE001 the library's errors share no class but Exception
        raise BadInput(f"{model.name} cannot be quantized: {door.first_line(error)}") from None
    return made.read_bytes()


def _check_float(file: Path) -> None:
    """What is quantized already is none for the quantizer: it would name its nodes twice."""
    import onnx

    if any(node.op_type in QUANTIZED for node in onnx.load(file, load_external_data=False).graph.node):
        raise BadInput(f"{file.name} is quantized already: quantize the float model that it was made of")


def _raise_opset(file: Path) -> None:
    """Channels have scales of their own since opset 13 of ONNX; older models are converted."""
    import onnx
    from onnx.version_converter import convert_version

    model = onnx.load(file)
    if any(one.version < SCALES_PER_CHANNEL for one in model.opset_import if one.domain in ("", "ai.onnx")):
        onnx.save(convert_version(model, SCALES_PER_CHANNEL), file)


class _Reader:
    """The library's `CalibrationDataReader`: asked for one feed after the other until there is None."""

    def __init__(self, feeds: Iterator[dict[str, Array]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, Array] | None:
        """The next feed."""
        return next(self._feeds, None)
