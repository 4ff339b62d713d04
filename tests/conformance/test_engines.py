"""Every engine passes the same suite, and complains about the same bad models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_node.engine.catalog import find
from edge_node.errors import BadInput, EngineFailed, NearfieldError
from tests.conformance.engine_suite import CHECKS, Check, feed_of
from tests.conformance.tiny_models import (
    onnx_model,
    onnx_quantized_model,
    onnx_reshape_model,
    stub_model,
    tflite_model,
    tflite_recurrent_model,
)

MODELS: dict[str, Callable[[Path], Path]] = {
    "stub": stub_model,
    "onnxruntime": onnx_model,
    "litert": tflite_model,
    "openvino": onnx_model,
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_an_engine_does_what_every_engine_does(name: str, check: Check, tmp_path: Path) -> None:
    engine = find(name)
    check(engine, MODELS[name](tmp_path / f"tiny{engine.suffix}"))


@pytest.mark.parametrize("name", ["onnxruntime", "litert", "openvino"])
def test_a_real_engine_computes(name: str, tmp_path: Path) -> None:
    engine = find(name)
    session = engine.open(MODELS[name](tmp_path / f"tiny{engine.suffix}"), threads=1)
    np.testing.assert_array_equal(session.run(feed_of(session))["y"], [[0, 2, 4, 6]])
    session.close()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("onnxruntime", lambda path: onnx_model(path, "Frobnicate")),
        ("onnxruntime", lambda path: onnx_model(path, "Frobnicate", "my.domain")),
        ("litert", lambda path: tflite_model(path, "Frobnicate")),
        ("openvino", lambda path: onnx_model(path, "Frobnicate")),
    ],
)
def test_an_operator_that_the_engine_lacks_is_named(name: str, model: Callable[[Path], Path], tmp_path: Path) -> None:
    engine = find(name)
    path = model(tmp_path / f"unknown{engine.suffix}")
    complaint = r"^\S+ (is refused: it )?needs the operator \S*Frobnicate, which \w+ does not have: \w+ it with"
    with pytest.raises(NearfieldError, match=complaint):
        engine.open(path, threads=1)


def test_an_engine_that_gives_up_says_so_in_one_line(tmp_path: Path) -> None:
    """A model of three values is fed four, which only shows while it runs."""
    path = onnx_reshape_model(tmp_path / "three.onnx")
    session = find("onnxruntime").open(path, threads=1)
    with pytest.raises(EngineFailed, match=r"^onnxruntime gave up: .*Reshape") as failure:
        session.run({"x": np.zeros(4, np.float32)})
    assert "\n" not in str(failure.value)
    np.testing.assert_array_equal(session.run({"x": np.ones(3, np.float32)})["y"], [1, 1, 1])
    session.close()


def test_ends_that_are_no_tensors_of_numbers_are_refused(tmp_path: Path) -> None:
    path = onnx_model(tmp_path / "text.onnx", "Identity", element=8)
    with pytest.raises(BadInput, match=r"text\.onnx: 'x' is a tensor\(string\), no tensor of numbers"):
        find("onnxruntime").open(path, threads=1)


def test_onnx_runtime_sessions_know_the_quantization_of_their_ends(tmp_path: Path) -> None:
    session = find("onnxruntime").open(onnx_quantized_model(tmp_path / "quantized.onnx"), threads=1)
    assert [(spec.scale, spec.zero_point) for spec in (*session.inputs, *session.outputs)] == [(0.5, 128), (0.25, -3)]
    session.close()


def test_litert_models_keep_nothing_from_run_to_run(tmp_path: Path) -> None:
    session = find("litert").open(tflite_recurrent_model(tmp_path / "recurrent.tflite"), threads=1)
    for _ in range(3):
        answer = session.run({"x": np.full((1, 1, 4), 2, np.float32)})["y"]
        np.testing.assert_array_equal(answer, np.full((1, 1, 4), 2))
    session.close()


@pytest.mark.parametrize("name", ["onnxruntime", "litert", "openvino"])
def test_loading_a_model_says_nothing_on_standard_error(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = find(name)
    engine.open(MODELS[name](tmp_path / f"tiny{engine.suffix}"), threads=1).close()
    assert capfd.readouterr().err == ""
