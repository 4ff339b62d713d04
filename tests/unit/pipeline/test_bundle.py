"""Bundle folders and raw files, opened; and what is said where they cannot be."""

from pathlib import Path

import numpy as np
import pytest

from edge_node.errors import BadInput
from edge_node.pipeline.bundle import open_model, open_variant, read_bundle
from edge_node.pipeline.labels import read_labels
from protos.result import Classified
from tests.unit.pipeline.stubs import IMAGE, bundle_folder, scores, stub_file

FRAME = np.zeros((16, 16, 3), np.uint8)
ONE: dict[str, dict[str, object]] = {"m.stub": {}}


def test_a_bundle_is_opened_with_its_first_variant(tmp_path: Path) -> None:
    folder = bundle_folder(tmp_path / "b", variants={"one.stub": {}, "two.stub": {"outputs": [scores(0.9, 0, 0)]}})
    assert open_model(folder).run(FRAME).outputs == (Classified("b", 0.7, 1),)
    assert open_model(folder, variant="two.stub").run(FRAME).outputs == (Classified("a", 0.9, 0),)


def test_a_raw_file_gets_a_guessed_manifest(tmp_path: Path) -> None:
    file = stub_file(tmp_path / "Raw Model.stub", [IMAGE], [{**scores(0.1, 0.9), "name": "probs"}])
    (tmp_path / "words.txt").write_text("no\nyes\n\n")
    runner = open_model(file, labels=tmp_path / "words.txt")
    assert runner.manifest.name == "raw-model"
    assert runner.run(FRAME).outputs == (Classified("yes", 0.9, 1), Classified("no", 0.1, 0))


def test_labels_of_the_wrong_number_are_refused(tmp_path: Path) -> None:
    file = stub_file(tmp_path / "m.stub", [IMAGE], [scores(0.1, 0.9)])
    (tmp_path / "words.txt").write_text("no\nyes\nperhaps\n")
    with pytest.raises(BadInput, match=r"^words\.txt has 3 labels, the output 'scores' 2 classes: one line per class$"):
        open_model(file, labels=tmp_path / "words.txt")


def test_labels_of_a_bundle_are_counted_too(tmp_path: Path) -> None:
    folder = bundle_folder(tmp_path / "b", variants=ONE, labels="a\nb\n")
    with pytest.raises(BadInput, match=r"labels\.txt has 2 labels, the output 'scores' 3 classes"):
        open_model(folder)


def test_a_variant_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    bundle = read_bundle(bundle_folder(tmp_path / "b", variants=ONE))
    with pytest.raises(BadInput, match=r"b has no variant 'x\.onnx': it has m\.stub"):
        open_variant(bundle, "x.onnx")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[golden]\nvectors = "golden/*.npz"\n', r"no golden vectors match 'golden/\*\.npz'"),
        ("[goldne]\n", "unknown key 'goldne'; did you mean 'golden'"),
        ('[[variants]]\nfile = "gone.onnx"\nengine = "onnxruntime"\n', r"names gone\.onnx, which is not in the folder"),
        ('[[variants]]\nfile = "../up.onnx"\nengine = "onnxruntime"\n', "is not a path inside the bundle"),
        ("name = ", "is not TOML"),
    ],
)
def test_a_bundle_that_is_not_in_order_is_one_line(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refusal:
        read_bundle(bundle_folder(tmp_path / "b", variants=ONE, more=more))
    assert str(tmp_path / "b") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"model\.toml: No such file or directory: give a folder with a model\.toml"):
        open_model(tmp_path)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="gone: no such file or folder: give a bundle folder"):
        open_model(tmp_path / "gone")


def test_labels_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, said in (
        ("binary.txt", "is not a text in UTF-8 with a label per line"),
        ("gone.txt", "No such file or directory"),
    ):
        with pytest.raises(BadInput, match=said):
            read_labels(tmp_path / name)


def test_empty_lines_inside_a_label_file_count(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("a\n\n b \n\n\n")
    assert read_labels(tmp_path / "l.txt") == ("a", "", "b")
