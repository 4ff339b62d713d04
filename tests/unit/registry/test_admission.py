"""Which bundles may become a version."""

from pathlib import Path

import msgspec
import pytest

from coordinator.errors import BadInput, Refused
from coordinator.registry.admission import (
    MAX_BUNDLE,
    MAX_FILE,
    admit,
    admit_content,
    check_evaluation,
    model_toml_of,
)
from protos.bundle import parse_manifest
from protos.digest import digest_of
from protos.evaluation import EVALUATION, Evaluation, VariantScore, parse_requirement
from protos.oci import BundleFile
from tests.hostile.onnx_files import add, loop, model_of

TOML = 'name = "m"\ntask = "tensor"\n[[variants]]\nfile = "m.onnx"\nengine = "onnxruntime"\n'


def files(*paths: str, size: int = 1) -> list[BundleFile]:
    """Files of these paths."""
    return [BundleFile(path, digest_of(path.encode()), size) for path in paths]


def test_a_bundle_whose_manifest_names_what_is_there_is_admitted() -> None:
    assert admit("m", files("model.toml", "m.onnx", "extra.txt"), TOML).name == "m"
    assert admit("", files("model.toml", "m.onnx"), TOML).name == "m"


@pytest.mark.parametrize(
    ("model", "toml", "complaint"),
    [
        ("other", TOML, "names the model 'm', not 'other'"),
        ("m", "name = ", "is not TOML"),
        ("m", TOML.replace("task", "tsak"), "did you mean 'task'"),
        ("m", TOML.replace("m.onnx", "n.onnx"), "names files that are not in the bundle: n.onnx"),
        ("m", TOML.replace("m.onnx", "../m.onnx"), "is not a path inside the bundle"),
        ("m", TOML + '[golden]\nvectors = "golden/*.npz"\n', "no file of the bundle matches the golden vectors"),
    ],
)
def test_a_wrong_manifest_is_refused_with_what_is_wrong(model: str, toml: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        admit(model, files("model.toml", "m.onnx"), toml)


def test_a_version_needs_the_evaluation_that_the_coordinator_requires() -> None:
    variant = VariantScore("m.onnx", digest_of(b"m.onnx"), "onnxruntime", 9, 0.9, 1.0, 2.0, 3.0)
    evaluation = Evaluation("accuracy", "photos", digest_of(b"d"), "2026-05-01T10:00:00Z", "here", (variant,))
    found, manifest = files("model.toml", "m.onnx", EVALUATION), parse_manifest(TOML)

    def required(text: str, among: list[BundleFile]) -> None:
        check_evaluation(manifest, among, [parse_requirement(text)], lambda _: msgspec.json.encode(evaluation))

    required("accuracy>=0.9", found)
    check_evaluation(manifest, found[:2], (), lambda _: b"")
    with pytest.raises(Refused, match=r"accuracy is 0\.9, and accuracy>=0\.95 is required"):
        required("accuracy>=0.95", found)
    with pytest.raises(Refused, match="edgectl model evaluate BUNDLE DATASET --keep"):
        required("accuracy>=0.9", found[:2])
    with pytest.raises(Refused, match="was not evaluated"):
        required("beauty>=1", found)
    with pytest.raises(Refused, match="at most"):
        required("accuracy>=0.9", [*found[:2], *files(EVALUATION, size=1 << 30)])


def test_a_bundle_without_model_toml_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"no model\.toml: make one with edgectl model init"):
        model_toml_of(files("m.onnx"))


@pytest.mark.parametrize(
    "found",
    [
        files("model.toml", "big", size=MAX_FILE + 1),
        files("model.toml", "a", "b", "c", size=MAX_BUNDLE // 4 + 1),
        files("model.toml", size=2 * 1024 * 1024),
    ],
    ids=["file", "bundle", "manifest"],
)
def test_what_is_too_large_is_refused(found: list[BundleFile]) -> None:
    with pytest.raises(Refused, match="at most"):
        model_toml_of(found)


def test_a_hostile_file_keeps_a_bundle_out(tmp_path: Path) -> None:
    path, manifest = tmp_path / "m.onnx", parse_manifest(TOML)
    path.write_bytes(model_of([add()]))
    admit_content(manifest, files("model.toml", "m.onnx"), lambda _: path.open("rb"))
    path.write_bytes(loop(None))
    with pytest.raises(Refused, match=r"^m\.onnx is refused: a loop of more than 1000000 steps that nothing ends$"):
        admit_content(manifest, files("model.toml", "m.onnx"), lambda _: path.open("rb"))
