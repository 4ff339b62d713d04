"""Labelled samples as they lie on a disk."""

import json
from pathlib import Path

import pytest

from edge_node.errors import BadInput
from edge_node.evaluation.dataset import read_dataset


def touch(*files: Path) -> None:
    """Empty files, with their folders."""
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_a_folder_of_folders_is_labelled_by_their_names(tmp_path: Path) -> None:
    touch(tmp_path / "cat/1.jpg", tmp_path / "cat/notes.txt", tmp_path / "dog/2.PNG")
    assert [(one.file.name, one.label) for one in read_dataset(tmp_path).samples] == [
        ("1.jpg", "cat"),
        ("2.PNG", "dog"),
    ]


def test_further_columns_of_a_table_are_slices(tmp_path: Path) -> None:
    touch(tmp_path / "1.jpg")
    (tmp_path / "labels.csv").write_text('file,label,camera\n1.jpg,"cat, tabby",door\n')
    (one,) = read_dataset(tmp_path).samples
    assert (one.label, dict(one.groups)) == ("cat, tabby", {"camera": "door"})
    assert read_dataset(tmp_path / "labels.csv").samples == read_dataset(tmp_path).samples


def test_boxes_in_the_form_of_coco_become_corners_in_shares_of_the_picture(tmp_path: Path) -> None:
    touch(tmp_path / "1.jpg")
    coco = {
        "images": [{"id": 7, "file_name": "1.jpg", "width": 200, "height": 100}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "bbox": [20, 10, 100, 50]},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "face"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(coco))
    dataset = read_dataset(tmp_path)
    assert dataset.has_boxes
    assert dataset.samples[0].boxes == (("face", (0.1, 0.1, 0.6, 0.6)),)


def test_the_digest_changes_with_a_label(tmp_path: Path) -> None:
    touch(tmp_path / "1.jpg")
    (tmp_path / "labels.csv").write_text("file,label\n1.jpg,cat\n")
    before = read_dataset(tmp_path).digest
    (tmp_path / "labels.csv").write_text("file,label\n1.jpg,dog\n")
    assert read_dataset(tmp_path).digest != before


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("labels.csv", "file,answer\n", "no column 'label'"),
        ("labels.csv", "", "no column 'file'"),
        ("labels.csv", "file,label\n1.jpg\n", "line 2: not as many values"),
        ("labels.csv", "file,label\n1.jpg,a,b\n", "line 2: not as many values"),
        ("labels.csv", "file,label\nnowhere.jpg,a\n", "line 2: no such file: nowhere.jpg"),
        ("labels.csv", "file,label\n\xff\n", "cannot be read"),
        ("annotations.json", "[", "in the form of COCO"),
        ("annotations.json", "[" * 100_000, "in the form of COCO"),
        (
            "annotations.json",
            (
                '{"images":[{"id":1,"file_name":"a","width":1,"height":1}],'
                '"annotations":[{"image_id":1,"category_id":9,"bbox":[0,0,1,1]}],"categories":[]}'
            ),
            "no category 9",
        ),
        ("readme.txt", "hello", "no labels.csv"),
    ],
)
def test_what_is_no_dataset_is_refused_in_one_line(tmp_path: Path, name: str, content: str, complaint: str) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(BadInput, match=complaint) as refused:
        read_dataset(tmp_path)
    assert "\n" not in str(refused.value)


def test_what_is_not_there_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such dataset"):
        read_dataset(tmp_path / "nowhere")
