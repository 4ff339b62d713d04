"""Labelled samples as they lie on a disk. Only names and labels are read here; samples are opened with the model.

Three forms:
- a folder of folders, each named by its label, with samples inside;
- a folder with `labels.csv`, or such a file: columns `file` and `label`, every further column is a way to slice;
- a folder with `annotations.json` of boxes, in the form of COCO (https://cocodataset.org/#format-data).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge_node.errors import BadInput
from protos.digest import Digest, digest_of

LABELS, BOXES = "labels.csv", "annotations.json"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".npy", ".npz", ".bin", ".wav"})

Box = tuple[float, float, float, float]
"""corners in 0..1 of the picture: x_min, y_min, x_max, y_max"""


@dataclass(frozen=True)
class Labelled:
    """One sample and what it shows: a label, or boxes with theirs; `groups` are its slices."""

    file: Path
    label: str = ""
    boxes: tuple[tuple[str, Box], ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """All samples; the digest is that of the labels and names, not of what the samples show."""

    name: str
    samples: tuple[Labelled, ...]
    has_boxes: bool = False

    @property
    def digest(self) -> Digest:
        """Of what was to be found."""
        rows = [(one.file.name, one.label, one.boxes, sorted(one.groups.items())) for one in self.samples]
        return digest_of(msgspec.json.encode(rows))


def read_dataset(path: Path) -> Dataset:
    """The samples of a dataset.

    Raises:
        BadInput: it has none of the forms, or names files that are not there.
    """
    if path.is_file() and path.suffix == ".csv":
        return Dataset(path.stem, tuple(_listed(path)))
    if not path.is_dir():
        raise BadInput(f"{path}: no such dataset: give a folder of labelled samples, or a .csv file")
    if (path / LABELS).is_file():
        return Dataset(path.name, tuple(_listed(path / LABELS)))
    if (path / BOXES).is_file():
        return Dataset(path.name, tuple(_boxed(path / BOXES)), has_boxes=True)
    samples = tuple(_sorted_by_folder(path))
    if not samples:
        raise BadInput(f"{path}: no {LABELS}, no {BOXES}, and no folders of samples named by their labels")
    return Dataset(path.name, samples)


def _sorted_by_folder(path: Path) -> Iterator[Labelled]:
    for folder in sorted(one for one in path.iterdir() if one.is_dir()):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in SUFFIXES:
                yield Labelled(file, folder.name)


def _listed(table: Path) -> Iterator[Labelled]:
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = csv.DictReader(lines, strict=True)
            _check_columns(table, rows.fieldnames or ())
            for row in rows:
                yield _row(table, row, rows.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{table} cannot be read ({error}): columns file,label and what to slice by") from None


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    for needed in ("file", "label"):
        if needed not in columns:
            raise BadInput(f"{table}: no column {needed!r}: its first line names the columns: file,label,…")


def _row(table: Path, row: Mapping[str | None, str | None], line: int) -> Labelled:
    if None in row or None in row.values():
        raise BadInput(f"{table}, line {line}: not as many values as columns")
    values = {str(key): str(value).strip() for key, value in row.items()}
    file = _there(table, values.pop("file"), f"line {line}")
    return Labelled(file, values.pop("label"), groups=values)


def _there(table: Path, name: str, where: str) -> Path:
    file = table.parent / name
    if not file.is_file():
        raise BadInput(f"{table}, {where}: no such file: {name}")
    return file


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    """x, y, width, height in pixels"""
    iscrowd: int = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Coco(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def _boxed(table: Path) -> Iterator[Labelled]:
    try:
        coco = msgspec.json.decode(table.read_bytes(), type=_Coco)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(f"{table} is no list of boxes in the form of COCO: {error}") from None
    names = {one.id: one.name for one in coco.categories}
    for image in coco.images:
        found = [one for one in coco.annotations if one.image_id == image.id and not one.iscrowd]
        unknown = next((one.category_id for one in found if one.category_id not in names), None)
        if unknown is not None or image.width < 1 or image.height < 1:
            raise BadInput(f"{table}: image {image.id}: no category {unknown}, or the image has no size")
        boxes = tuple((names[one.category_id], _corners(one.bbox, image)) for one in found)
        yield Labelled(_there(table, image.file_name, f"image {image.id}"), boxes=boxes)


def _corners(box: tuple[float, float, float, float], image: _Image) -> Box:
    left, top, width, height = box
    return (
        left / image.width,
        top / image.height,
        (left + width) / image.width,
        (top + height) / image.height,
    )
