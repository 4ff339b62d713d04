"""Which engines there are, and what is said about those that are not."""

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from edge_node.engine import catalog, installed, litert
from edge_node.engine.installed import Installed
from edge_node.errors import BadInput


def test_the_suffix_of_a_file_decides_the_engine() -> None:
    assert catalog.engine_name(Path("a/model.TFLITE")) == "litert"
    assert catalog.engine_name(Path("model.onnx")) == "onnxruntime"
    assert catalog.for_file(Path("model.stub")).name == "stub"


@pytest.mark.parametrize(("name", "said"), [("model.pt", ".pt"), ("model", "files without a suffix")])
def test_a_file_that_no_engine_runs_is_refused(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=rf"^{name}: no engine runs {said}: give a \.tflite or \.onnx file$"):
        catalog.for_file(Path(name))


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match="no engine 'tensorrt': the engines are litert, onnxruntime, openvino, stub"):
        catalog.find("tensorrt")


def test_a_missing_wheel_disables_one_engine_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "edge_node.engine.onnx", raising=False)
    with pytest.raises(BadInput, match=r"onnxruntime is not usable here \(.*\): pip install 'nearfield\[onnx\]'$"):
        catalog.find("onnxruntime")
    (fact,) = catalog.survey(["onnxruntime"])
    assert (fact.version, fact.accelerators, fact.remedy) == ("", (), "pip install 'nearfield[onnx]'")
    assert fact.missing
    assert catalog.find("stub").name == "stub"


def test_a_present_engine_shows_its_version_and_accelerators() -> None:
    (fact,) = catalog.survey(["stub"])
    assert fact.version
    assert fact.accelerators == ("cpu",)
    assert fact.missing == fact.remedy == ""


def test_tflite_runtime_is_not_taken_beside_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "installed_engines", lambda: (Installed("litert", "tflite-runtime", "2.14.0"),))
    monkeypatch.setattr(np, "__version__", "2.4.0")
    with pytest.raises(ImportError, match=r"tflite-runtime needs numpy 1, here is 2\.4\.0"):
        litert.create()


def test_without_either_package_litert_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "installed_engines", tuple)
    with pytest.raises(ImportError, match="ai-edge-litert is not installed"):
        litert.create()


def test_installed_engines_are_known_without_importing_one() -> None:
    code = "import sys; from edge_node.engine import installed; installed.engine_versions(); print(sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in said for name in ("numpy", "onnxruntime", "ai_edge_litert"))


def test_the_preferred_package_wins_and_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (Installed("litert", "ai-edge-litert", "2.3.0"), Installed("litert", "tflite-runtime", "2.14.0"))
    monkeypatch.setattr(installed, "installed_engines", lambda: both)
    assert installed.engine_versions() == {"litert": "2.3.0"}
    monkeypatch.setattr(installed, "installed_engines", lambda: both[1:])
    assert installed.engine_versions() == {"litert": "2.14.0 (tflite-runtime)"}


def test_kept_proofs_and_sessions_speak_of_the_same_versions() -> None:
    for name, version in installed.engine_versions().items():
        assert importlib.import_module(catalog.MODULES[name]).create().version == version


def test_versions_are_those_of_the_packages_metadata() -> None:
    for found in installed.installed_engines():
        assert found.version == metadata.version(found.distribution)
