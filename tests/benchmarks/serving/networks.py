"""The networks that servers are compared with: public architectures with random weights, for speed only.

    networks.build(folder)          # {name: path}; made once and kept

Tiny CNN (32 x 32), MobileNetV2 and ResNet-50 (224 x 224, v1.5) are quantized statically to INT8 (QDQ, per channel);
the shape of BERT-base (12 layers of 768, 128 tokens) is quantized dynamically. All take float32 (BERT: int64) with an
open first axis; input and output are called `input` and `output`.

Sources: Howard et al., MobileNetV2 (arXiv 1801.04381), table 2; He et al., ResNet (arXiv 1512.03385), table 1;
Devlin et al., BERT (arXiv 1810.04805), section 3.
"""

import logging
from collections.abc import Callable, Iterator
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Values = NDArray[np.generic]

OPSET, IR = 17, 10
TOKENS, WORDS, WIDTH, HEADS, LAYERS = 128, 30522, 768, 12, 12
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""MobileNetV2: expansion, channels, repeats, stride"""
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""ResNet-50: width, blocks, stride"""


class Graph:
    """A graph that grows node by node; names are numbers."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; its output's name."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, values: Values) -> str:
        """Append a weight; its name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def random(self, *shape: int, fan_in: int) -> str:
        """A random weight that keeps the size of activations (He et al. 2015)."""
        values = self._random.standard_normal(shape) * sqrt(2 / fan_in)
        return self.constant(values.astype(np.float32))

    def conv(self, x: str, channels: tuple[int, int], kernel: int = 1, stride: int = 1, group: int = 1) -> str:
        """A convolution with a bias, as batch normalization leaves it when it is folded in."""
        into, out = channels
        weight = self.random(out, into // group, kernel, kernel, fan_in=into // group * kernel * kernel)
        bias = self.constant(np.zeros(out, np.float32))
        pads = [(kernel - 1) // 2] * 4
        return self.add("Conv", x, weight, bias, strides=[stride] * 2, pads=pads, group=group)

    def linear(self, x: str, into: int, out: int) -> str:
        """A matrix product with a bias."""
        product = self.add("MatMul", x, self.random(into, out, fan_in=2 * into))
        return self.add("Add", product, self.constant(np.zeros(out, np.float32)))

    def model(self, last: str, takes: tuple[int, list[int]], classes: int) -> onnx.ModelProto:
        """The whole, checked."""
        self.nodes.append(helper.make_node("Identity", [last], ["output"]))
        dtype, shape = takes
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("input", dtype, ["N", *shape])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", classes])],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(made)
        return made


def tiny() -> onnx.ModelProto:
    """Two convolutions and a classifier of ten."""
    g, x, before = Graph(), "input", 1
    for channels in (8, 16):
        x = g.add("Relu", g.conv(x, (before, channels), 3))
        x, before = g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), channels
    flat = g.add("Flatten", x)
    return g.model(g.linear(flat, 16 * 64, 10), (TensorProto.FLOAT, [1, 32, 32]), 10)


def mobilenet() -> onnx.ModelProto:
    """MobileNetV2."""
    g = Graph()
    x, before = _relu6(g, g.conv("input", (3, 32), 3, 2)), 32
    for expansion, channels, repeats, stride in BLOCKS:
        for number in range(repeats):
            x = _inverted_residual(g, x, (before, channels), stride if number == 0 else 1, expansion)
            before = channels
    x = _relu6(g, g.conv(x, (before, 1280)))
    return g.model(_head(g, x, 1280), (TensorProto.FLOAT, [3, 224, 224]), 1000)


def resnet() -> onnx.ModelProto:
    """ResNet-50 v1.5."""
    g = Graph()
    x = g.add("Relu", g.conv("input", (3, 64), 7, 2))
    x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    before = 64
    for width, blocks, stride in STAGES:
        for number in range(blocks):
            x = _bottleneck(g, x, before, width, stride if number == 0 else 1)
            before = 4 * width
    return g.model(_head(g, x, before), (TensorProto.FLOAT, [3, 224, 224]), 1000)


def bert() -> onnx.ModelProto:
    """The shape of BERT-base with a classifier of two."""
    g = Graph()
    x = g.add("Gather", g.random(WORDS, WIDTH, fan_in=2 * WIDTH), "input", axis=0)
    x = _normalized(g, g.add("Add", x, g.random(1, TOKENS, WIDTH, fan_in=2 * WIDTH)))
    for _ in range(LAYERS):
        x = _normalized(g, g.add("Add", x, _attention(g, x)))
        wide = g.add("Relu", g.linear(x, WIDTH, 4 * WIDTH))
        x = _normalized(g, g.add("Add", x, g.linear(wide, 4 * WIDTH, WIDTH)))
    first = g.add("Gather", x, g.constant(np.array(0, np.int64)), axis=1)
    return g.model(g.linear(first, WIDTH, 2), (TensorProto.INT64, [TOKENS]), 2)


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "tiny": tiny,
    "mobilenetv2": mobilenet,
    "resnet50": resnet,
    "bert": bert,
}


def example(name: str) -> Values:
    """An input of one sample."""
    random = np.random.default_rng(1)
    if name == "bert":
        return random.integers(0, WORDS, (1, TOKENS))
    shape = (1, 1, 32, 32) if name == "tiny" else (1, 3, 224, 224)
    return random.standard_normal(shape).astype(np.float32)


def build(folder: Path) -> dict[str, Path]:
    """The quantized files, made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger().setLevel(logging.ERROR)  # the quantizer advises on a preprocessing that is done here already
    return {name: _quantized(name, folder / f"{name}_int8.onnx") for name in NETWORKS}


def _quantized(name: str, path: Path) -> Path:
    if path.exists():
        return path
    from onnxruntime import quantization

    plain, made = path.with_suffix(".fp32.onnx"), path.with_suffix(".part")
    onnx.save(NETWORKS[name](), plain)
    weights = {"per_channel": True, "weight_type": quantization.QuantType.QInt8}
    if name == "bert":
        quantization.quantize_dynamic(plain, made, **weights)
    else:
        activations = quantization.QuantType.QUInt8
        quantization.quantize_static(plain, made, _Calibration(name), activation_type=activations, **weights)
    plain.unlink()
    return made.rename(path)


class _Calibration:
    """What the quantizer measures activations with."""

    def __init__(self, name: str) -> None:
        self._examples: Iterator[Values] = iter([example(name)] * 4)

    def get_next(self) -> dict[str, Values] | None:
        """The next example, None after the last."""
        given = next(self._examples, None)
        return None if given is None else {"input": given}


def _relu6(g: Graph, x: str) -> str:
    return g.add("Clip", x, g.constant(np.array(0, np.float32)), g.constant(np.array(6, np.float32)))


def _inverted_residual(g: Graph, x: str, channels: tuple[int, int], stride: int, expansion: int) -> str:
    into, out = channels
    hidden, y = into * expansion, x
    if expansion > 1:
        y = _relu6(g, g.conv(y, (into, hidden)))
    y = _relu6(g, g.conv(y, (hidden, hidden), 3, stride, group=hidden))
    y = g.conv(y, (hidden, out))
    return g.add("Add", x, y) if stride == 1 and into == out else y


def _bottleneck(g: Graph, x: str, into: int, width: int, stride: int) -> str:
    y = g.add("Relu", g.conv(x, (into, width)))
    y = g.add("Relu", g.conv(y, (width, width), 3, stride))
    y = g.conv(y, (width, 4 * width))
    shortcut = x if stride == 1 and into == 4 * width else g.conv(x, (into, 4 * width), 1, stride)
    return g.add("Relu", g.add("Add", shortcut, y))


def _head(g: Graph, x: str, channels: int) -> str:
    return g.linear(g.add("Flatten", g.add("GlobalAveragePool", x)), channels, 1000)


def _attention(g: Graph, x: str) -> str:
    queries, keys, values = (_heads(g, g.linear(x, WIDTH, WIDTH)) for _ in range(3))
    scores = g.add("MatMul", queries, g.add("Transpose", keys, perm=[0, 1, 3, 2]))
    scaled = g.add("Mul", scores, g.constant(np.array(1 / sqrt(WIDTH // HEADS), np.float32)))
    mixed = g.add("MatMul", g.add("Softmax", scaled, axis=-1), values)
    joined = g.add("Transpose", mixed, perm=[0, 2, 1, 3])
    return g.linear(g.add("Reshape", joined, g.constant(np.array([0, 0, WIDTH], np.int64))), WIDTH, WIDTH)


def _heads(g: Graph, x: str) -> str:
    split = g.add("Reshape", x, g.constant(np.array([0, 0, HEADS, WIDTH // HEADS], np.int64)))
    return g.add("Transpose", split, perm=[0, 2, 1, 3])


def _normalized(g: Graph, x: str) -> str:
    scale, bias = g.constant(np.ones(WIDTH, np.float32)), g.constant(np.zeros(WIDTH, np.float32))
    return g.add("LayerNormalization", x, scale, bias, axis=-1)
