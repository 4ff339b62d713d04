"""What results should have said: labels that arrive later, and whether the answer was right. Pure.

An answer of a classifier is right where its best class is the label; of a detector, where the label is among its boxes,
or there are none and the label is empty; of an anomaly model, where it says `anomalous` or `normal` as the label does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from coordinator.errors import BadInput
from protos.identity import StreamId, is_id

LONGEST_LABEL = 200
MOST_LABELS = 10_000
"""in one call"""
GROUPS = ("version", "site", "node", "pipeline", "label")
"""What labelled answers can be counted by."""


@dataclass(frozen=True)
class Label:
    """What a result, named by its stream and sequence, should have said."""

    stream: StreamId
    seq: int
    label: str


@dataclass(frozen=True)
class Tally:
    """Labelled answers of a group: all, and those that were right."""

    key: str
    labelled: int
    right: int


@dataclass(frozen=True)
class Taken:
    """What came of labels: how many were stored, how many of these answers were right, which results are not here."""

    labelled: int
    right: int
    unknown: tuple[str, ...]


class _Answer(msgspec.Struct):
    label: str | None = None
    anomalous: bool | None = None


class _Data(msgspec.Struct):
    outputs: list[_Answer] = []


class _Event(msgspec.Struct):
    type: str
    data: _Data


def label_of(result: str, label: str) -> Label:
    """The label of a result as `STREAM/SEQUENCE`, a CloudEvent's id.

    Raises:
        BadInput: not of that form, or the label is too long.
    """
    stream, _, seq = result.rpartition("/")
    if not is_id(stream) or not seq.isascii() or not seq.isdigit() or len(seq) > 13:
        raise BadInput(f"{result!r} is not the id of a result: take it from edgectl results query --json")
    if len(label) > LONGEST_LABEL:
        raise BadInput(f"the label of {result} has {len(label)} characters; at most {LONGEST_LABEL} are taken")
    return Label(StreamId(stream), int(seq), label)


def labels_of(given: Iterable[tuple[str, str]]) -> tuple[Label, ...]:
    """Labels by result; of two for one result the later.

    Raises:
        BadInput: one is none, or there are too many.
    """
    found = {label.stream + str(label.seq): label for label in _read(given)}
    return tuple(found.values())


def _read(given: Iterable[tuple[str, str]]) -> Iterator[Label]:
    for number, (result, label) in enumerate(given):
        if number == MOST_LABELS:
            raise BadInput(f"at most {MOST_LABELS} labels in one call: send them in parts")
        yield label_of(result, label)


def is_right(event: bytes, label: str) -> bool:
    """Whether a stored result says what its label does."""
    read = msgspec.json.decode(event, type=_Event)
    answers = read.data.outputs
    if read.type.startswith("inference.detection."):
        return any(one.label == label for one in answers) if label else not answers
    if not answers:
        return False
    if answers[0].anomalous is not None:
        return label == ("anomalous" if answers[0].anomalous else "normal")
    return answers[0].label == label
