"""What results should have said, and whether they did."""

import msgspec
import pytest

from coordinator.errors import BadInput
from coordinator.results.labels import LONGEST_LABEL, MOST_LABELS, is_right, label_of, labels_of

STREAM = "5" * 32


def event(kind: str, *outputs: dict[str, object]) -> bytes:
    """As it is stored, as far as it is looked at."""
    return msgspec.json.encode({"type": f"inference.{kind}.v1", "data": {"outputs": outputs, "seq": 1}})


@pytest.mark.parametrize(
    ("stored", "label", "right"),
    [
        (event("classification", {"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}), "cat", True),
        (event("classification", {"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.1}), "dog", False),
        (event("classification"), "cat", False),
        (event("detection", {"label": "dog"}, {"label": "face"}), "face", True),
        (event("detection", {"label": "dog"}), "face", False),
        (event("detection"), "", True),
        (event("detection", {"label": "dog"}), "", False),
        (event("anomaly", {"score": 3.0, "anomalous": True}), "anomalous", True),
        (event("anomaly", {"score": 3.0, "anomalous": True}), "normal", False),
        (event("anomaly", {"score": 1.0, "anomalous": False}), "normal", True),
        (event("tensor", {"name": "x"}), "cat", False),
    ],
)
def test_an_answer_is_right_where_it_says_what_its_label_does(stored: bytes, label: str, right: bool) -> None:
    assert is_right(stored, label) is right


def test_a_result_is_named_by_its_events_id() -> None:
    found = label_of(f"{STREAM}/17", "cat")
    assert (found.stream, found.seq, found.label) == (STREAM, 17, "cat")


@pytest.mark.parametrize("name", ["", "17", f"{STREAM}/", f"{STREAM}/x", f"{STREAM}/-1", "a/1", f"{STREAM}/{'9' * 14}"])
def test_what_names_no_result_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is not the id of a result"):
        label_of(name, "cat")


def test_a_label_and_a_call_have_a_size() -> None:
    with pytest.raises(BadInput, match="at most"):
        label_of(f"{STREAM}/1", "x" * (LONGEST_LABEL + 1))
    with pytest.raises(BadInput, match="in one call"):
        labels_of((f"{STREAM}/{number}", "x") for number in range(MOST_LABELS + 1))


def test_of_two_labels_for_one_result_the_later_counts() -> None:
    assert [one.label for one in labels_of([(f"{STREAM}/1", "cat"), (f"{STREAM}/1", "dog")])] == ["dog"]
