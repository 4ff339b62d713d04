"""The trained network as the bundle's files: INT8 ONNX (QDQ), INT8 TFLite, golden vectors.

Both files come from one float ONNX export and one set of calibration pictures: onnxruntime.quantization makes the
first, onnx2tf the second (without TensorFlow, on Python 3.12 and newer). Neither sees a held-out picture.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import numpy as np
import onnx2tf
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from dataset import SIDE, Pixels
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn

BUNDLE = Path(__file__).parent.parent / "inspection"
GOLDEN_VECTORS = 10
INPUT, OUTPUT = "image", "probabilities"

Scores = NDArray[np.float32]
Run = Callable[[Pixels], Scores]
"""Pictures uint8 [n, SIDE, SIDE, 3] to probabilities [n, classes]."""


@dataclass(frozen=True)
class Files:
    """The two variants."""

    onnx: Path
    tflite: Path


class _Calibration(CalibrationDataReader):
    """Pictures as the float network takes them, one by one."""

    def __init__(self, images: Pixels) -> None:
        self._feeds: Iterator[Pixels] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next feed, None after the last."""
        image = next(self._feeds, None)
        return None if image is None else {INPUT: as_nchw(image[None])}


def as_nchw(images: Pixels) -> NDArray[np.float32]:
    """Float 0..1, [n, 3, SIDE, SIDE]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def write(model: nn.Module, calibration: Pixels) -> Files:
    """Both INT8 files of the network, in the bundle's folder."""
    BUNDLE.mkdir(exist_ok=True)
    files = Files(BUNDLE / "inspection_int8.onnx", BUNDLE / "inspection_int8.tflite")
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder, "inspection.onnx")
        dummy = torch.zeros(1, 3, SIDE, SIDE)
        names = {"input_names": [INPUT], "output_names": [OUTPUT]}
        torch.onnx.export(model.eval(), (dummy,), str(exported), opset_version=17, dynamo=False, **names)
        _write_onnx(exported, files.onnx, calibration)
        _write_tflite(exported, files.tflite, calibration)
    return files


def _write_onnx(exported: Path, file: Path, calibration: Pixels) -> None:
    quantize_static(
        exported,
        file,
        _Calibration(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Gemm", "MaxPool", "Flatten"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _write_tflite(exported: Path, file: Path, calibration: Pixels) -> None:
    folder = exported.parent / "tflite"
    feeds = exported.parent / "calibration.npy"
    np.save(feeds, calibration.astype(np.float32) / np.float32(255))
    onnx2tf.convert(
        input_onnx_file_path=str(exported),
        output_folder_path=str(folder),
        output_integer_quantized_tflite=True,
        quant_type="per-channel",
        custom_input_op_name_np_data_path=[[INPUT, str(feeds), [[[[0.0, 0.0, 0.0]]]], [[[[1.0, 1.0, 1.0]]]]]],
        non_verbose=True,
    )
    copyfile(folder / "inspection_full_integer_quant.tflite", file)


def run_torch(model: nn.Module) -> Run:
    """The float network."""

    def run(images: Pixels) -> Scores:
        with torch.no_grad():
            return np.asarray(model(torch.from_numpy(as_nchw(images))).softmax(1).numpy(), np.float32)

    return run


def run_onnx(file: Path) -> Run:
    """The ONNX file in ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: np.concatenate([session.run([OUTPUT], {INPUT: as_nchw(i[None])})[0] for i in images])


def run_tflite(file: Path) -> Run:
    """The TFLite file in LiteRT; its probabilities dequantized."""
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    source, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def one(image: Pixels) -> Scores:
        scale, zero = source["quantization"]
        feed = np.clip(np.round(image / np.float32(255) / scale) + zero, -128, 127).astype(source["dtype"])
        interpreter.set_tensor(source["index"], feed[None])
        interpreter.invoke()
        scale, zero = answer["quantization"]
        return np.asarray(scale * (interpreter.get_tensor(answer["index"]).astype(np.float32) - zero), np.float32)

    return lambda images: np.concatenate([one(image) for image in images])


def write_golden(images: Pixels, run: Run) -> None:
    """The most certain pictures, taking turns between the classes, with the answers of `run`: `input.0`, `output.0`."""
    folder = BUNDLE / "golden"
    folder.mkdir(exist_ok=True)
    scores = run(images)
    by_class = [np.flatnonzero(scores.argmax(1) == index) for index in range(scores.shape[1])]
    best = [found[np.argsort(-scores[found].max(1), kind="stable")] for found in by_class]
    chosen = [best[i % len(best)][i // len(best)] for i in range(GOLDEN_VECTORS)]
    for number, at in enumerate(chosen):
        np.savez_compressed(folder / f"{number}.npz", **{"input.0": images[at], "output.0": scores[at : at + 1]})
