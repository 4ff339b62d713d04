"""Triton-style model folders: which version, which files, which labels."""

from pathlib import Path

import pytest

from edge_node.authoring.triton import find_model, label_files, versions
from edge_node.errors import BadInput


def repository(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return root


def test_the_newest_version_of_the_only_model_is_taken(tmp_path: Path) -> None:
    found = find_model(repository(tmp_path, "net/2/model.onnx", "net/10/model.onnx", "net/config.pbtxt"), None, None)
    assert (found.name, found.version) == ("net", 10)
    assert found.files == (tmp_path / "net/10/model.onnx",)
    assert found.labels is None


def test_a_models_own_folder_does_too_and_a_version_can_be_chosen(tmp_path: Path) -> None:
    repository(tmp_path, "net/1/model.tflite", "net/1/model.onnx", "net/2/model.onnx")
    found = find_model(tmp_path / "net", None, 1)
    assert [path.name for path in found.files] == ["model.onnx", "model.tflite"]


def test_a_model_that_is_a_folder_holds_the_file_of_the_same_name(tmp_path: Path) -> None:
    repository(tmp_path, "net/1/model.onnx/model.onnx", "net/1/model.onnx/weights.bin")
    assert find_model(tmp_path, None, None).files == (tmp_path / "net/1/model.onnx/model.onnx",)


def test_the_label_file_of_the_config_is_found(tmp_path: Path) -> None:
    repository(tmp_path, "net/1/model.onnx", "net/labels.txt")
    (tmp_path / "net/config.pbtxt").write_text('output [{ name: "y" label_filename: "labels.txt" }]')
    assert find_model(tmp_path, None, None).labels == tmp_path / "net/labels.txt"


def test_comments_of_a_config_name_no_labels() -> None:
    assert label_files('# label_filename: "a"\nlabel_filename : "b" # c') == ["b"]


def test_only_whole_numbers_above_zero_are_versions() -> None:
    assert versions(["1", "10", "2", "0", "01", "v3", "-1", ""]) == [1, 2, 10]


@pytest.mark.parametrize(
    ("files", "name", "version", "complaint"),
    [
        ([], None, None, "no <model>/<version>/model"),
        (["a/1/model.onnx", "b/1/model.onnx"], None, None, "--model a | b"),
        (["a/1/model.onnx"], "c", None, "no model 'c'"),
        (["a/1/model.onnx"], "a", 2, "no version 2: it has 1"),
        (["a/1/model.plan"], "a", None, "no model.onnx or model.tflite"),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_line(
    tmp_path: Path, files: list[str], name: str | None, version: int | None, complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint):
        find_model(repository(tmp_path, *files), name, version)


def test_labels_outside_the_models_folder_are_refused(tmp_path: Path) -> None:
    repository(tmp_path, "net/1/model.onnx")
    (tmp_path / "net/config.pbtxt").write_text('label_filename: "../../secret"')
    with pytest.raises(BadInput, match="outside the model's folder"):
        find_model(tmp_path, None, None)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        find_model(tmp_path / "none", None, None)
