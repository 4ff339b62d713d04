"""Which models there are on the disk: raw files, bundles, Triton's folders; what cannot be is said in a line."""

import re
from pathlib import Path

import pytest

from edge_node.errors import BadInput, Refused
from edge_node.repository.found import Found, find
from edge_node.repository.models import Models
from edge_node.repository.plan import complaint, next_step, states
from edge_node.repository.staged import stage
from tests.conformance.tiny_models import onnx_model

MANIFEST = 'name = "shelf"\ntask = "tensor"\nvariants = [{file = "m.onnx", engine = "onnxruntime"}]\n'


def model(path: Path) -> Path:
    """A file that looks like a model from outside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"as good as a model here")
    return path


def names(found: tuple[Found, ...]) -> list[tuple[str, str]]:
    return [(one.model, one.version) for one in found]


def test_a_raw_file_is_a_model_of_its_stem_in_version_1(tmp_path: Path) -> None:
    (found,) = find([model(tmp_path / "mobilenet_v2_int8.tflite")])
    assert (found.model, found.version, found.bundle) == ("mobilenet_v2_int8", "1", False)


def test_a_bundle_has_the_name_of_its_manifest_and_only_its_files_belong_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    model(folder / "m.onnx")
    model(folder / "unrelated.bin")
    (folder / "model.toml").write_text(MANIFEST)
    (found,) = find([folder])
    assert (found.model, found.version, found.files) == ("shelf", "1", ("m.onnx", "model.toml"))


def test_of_a_triton_model_the_newest_version_is_served(tmp_path: Path) -> None:
    for version in ("1", "2", "10"):
        model(tmp_path / "m" / version / "model.onnx")
    assert names(find([tmp_path])) == [("m", "10")]
    assert names(find([tmp_path / "m"])) == [("m", "10")]


@pytest.mark.parametrize(
    ("policy", "versions"),
    [("all {}", ["1", "2", "10"]), ("latest { num_versions: 2 }", ["2", "10"]), ("specific { versions: [1] }", ["1"])],
)
def test_a_triton_models_version_policy_counts(tmp_path: Path, policy: str, versions: list[str]) -> None:
    for version in ("1", "2", "10"):
        model(tmp_path / "m" / version / "model.onnx")
    (tmp_path / "m" / "config.pbtxt").write_text(f"version_policy: {{ {policy} }}")
    assert [one.version for one in find([tmp_path])] == versions


def test_a_folder_may_hold_models_of_all_kinds(tmp_path: Path) -> None:
    model(tmp_path / "raw.onnx")
    model(tmp_path / "triton" / "3" / "model.tflite")
    model(tmp_path / "bundle" / "m.onnx")
    (tmp_path / "bundle" / "model.toml").write_text(MANIFEST)
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("not a model")
    assert names(find([tmp_path])) == [("raw", "1"), ("shelf", "1"), ("triton", "3")]


def test_the_same_path_twice_is_one_model(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx")
    assert len(find([path, path])) == 1


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda folder: [folder / "gone.onnx"], "no such file"),
        (lambda folder: [model(folder / "m.pt")], "no engine runs .pt files"),
        (lambda folder: [folder], "has no models"),
        (lambda folder: [model(folder / "a" / "m.onnx"), model(folder / "b" / "m.onnx")], "both version 1"),
        (lambda folder: [model(folder / "m" / "1" / "model.pt").parents[1]], "other formats"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(tmp_path: Path, make, complaint: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=re.escape(complaint)):
        find(make(tmp_path))


def test_a_configuration_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    model(tmp_path / "m" / "1" / "model.onnx")
    (tmp_path / "m" / "config.pbtxt").write_text("max_batch_size: many")
    with pytest.raises(BadInput, match=re.escape("config.pbtxt")):
        find([tmp_path])


def test_labels_outside_the_models_folder_are_not_read(tmp_path: Path) -> None:
    model(tmp_path / "m" / "1" / "model.onnx")
    (tmp_path / "m" / "config.pbtxt").write_text('output [{ name: "y" label_filename: "../../etc/passwd" }]')
    with pytest.raises(BadInput, match="outside the model's folder"):
        find([tmp_path])


def test_a_configuration_without_end_is_refused(tmp_path: Path) -> None:
    model(tmp_path / "m" / "1" / "model.onnx")
    (tmp_path / "m" / "config.pbtxt").write_text("#" * (1 << 20) + "##")
    with pytest.raises(Refused):
        find([tmp_path])


def test_a_copy_has_the_files_and_holds_still(tmp_path: Path) -> None:
    path = onnx_model(tmp_path / "m.onnx")
    (found,) = find([path])
    before = path.read_bytes()
    copy = stage(found, tmp_path / "copies" / "1")
    path.write_bytes(b"cut short")
    assert copy.read_bytes() == before
    assert find([path])[0].stamp != found.stamp


async def test_a_look_makes_a_new_generation_only_of_what_has_changed(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx")
    models = Models([path], tmp_path / "copies")
    await models.take_all()
    (first,) = models.by_name["m"].held.wanted
    await models.take("m")
    assert models.by_name["m"].held.wanted == {first}
    path.write_bytes(b"another")
    await models.take("m")
    (second,) = models.by_name["m"].held.wanted
    assert second.number > first.number
    models.tidy(models.by_name["m"])
    assert [folder.name for folder in (tmp_path / "copies").iterdir()] == [str(second.number)]


async def test_a_model_that_was_left_is_known_and_not_wanted(tmp_path: Path) -> None:
    models = Models([model(tmp_path / "m.onnx")], tmp_path / "copies")
    await models.take_all()
    models.leave("m")
    assert models.by_name["m"].held.wanted == frozenset()
    with pytest.raises(BadInput):
        models.leave("other")
    with pytest.raises(BadInput):
        await models.take("other")


async def test_a_model_that_cannot_be_read_is_no_concern_of_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ensemble" / "1").mkdir(parents=True)
    model(tmp_path / "m" / "1" / "model.onnx")
    models = Models([tmp_path], tmp_path.parent / f"{tmp_path.name}-copies")
    await models.take_all()
    (state,) = states(models.by_name["ensemble"].held)
    assert (state.state, "other formats" in state.reason) == ("UNAVAILABLE", True)
    assert next_step(models.by_name["ensemble"].held, 0.0) is None
    await models.take("m")
    with pytest.raises(BadInput, match="other formats"):
        await models.take("ensemble")
    model(tmp_path / "ensemble" / "1" / "model.onnx")
    await models.take("ensemble")
    assert next_step(models.by_name["ensemble"].held, 0.0) is not None


async def test_labels_that_are_not_there_hinder_no_other_model(tmp_path: Path) -> None:
    for name in ("labelled", "plain"):
        model(tmp_path / "models" / name / "1" / "model.onnx")
    config = 'output [{ name: "y" label_filename: "gone.txt" }]'
    (tmp_path / "models" / "labelled" / "config.pbtxt").write_text(config)
    models = Models([tmp_path / "models"], tmp_path / "copies")
    await models.take_all()
    assert next_step(models.by_name["plain"].held, 0.0) is not None
    assert "gone.txt" in complaint(models.by_name["labelled"].held)
