"""Evidence as it is counted."""

from math import nan

from hypothesis import given
from hypothesis import strategies as st

from edge_node.telemetry.counting import NOTHING, OTHERS, Counting, best_of
from protos.evidence import MOST_CLASSES, bucket_of, merged


def classified(label: str, score: float) -> dict[str, object]:
    return {"label": label, "score": score, "index": 0}


def test_an_answer_leaves_its_latency_its_bin_and_its_class() -> None:
    counting = Counting("shelf", "night")
    counting.add(7.0, [classified("cat", 0.3), classified("dog", 0.62)])
    counting.failed(2)
    found = counting.evidence()
    assert (found.pipeline, found.shift, found.samples, found.errors) == ("shelf", "night", 1, 2)
    assert found.latency == {bucket_of(7.0): 1}
    assert found.classes == {"dog": 1}
    assert found.confidence[12] == 1


def test_a_detector_that_finds_nothing_is_counted_as_a_class_of_its_own() -> None:
    assert best_of(()) == (NOTHING, 0.0)


def test_raw_tensors_have_neither_class_nor_confidence() -> None:
    counting = Counting()
    counting.add(1.0, [{"name": "y", "shape": [1], "values": [3.0]}])
    found = counting.evidence()
    assert (found.samples, found.classes, found.confidence) == (1, {}, ())


def test_an_anomaly_is_counted_by_its_verdict() -> None:
    assert best_of([{"score": 3.5, "threshold": 1.0, "anomalous": True}]) == ("anomalous", 3.5)
    assert best_of([{"score": 0.5, "anomalous": False}]) == ("normal", 0.5)
    assert best_of([{"score": 0.5}]) == ("", 0.5)


def test_a_score_that_is_not_a_number_is_an_error_wherever_it_stands() -> None:
    counting = Counting()
    counting.add(1.0, [classified("a", 0.5), classified("b", nan)])
    counting.add(1.0, [classified("b", nan), classified("a", 0.5)])
    assert (counting.evidence().samples, counting.evidence().errors) == (0, 2)


def test_classes_beyond_the_most_are_counted_together() -> None:
    counting = Counting()
    for number in range(MOST_CLASSES + 10):
        counting.add(1.0, [classified(f"c{number}", 0.5)])
    classes = counting.evidence().classes
    assert (len(classes), classes[OTHERS]) == (MOST_CLASSES + 1, 10)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1, 2), st.sampled_from("abc"))))
def test_two_counted_halves_are_the_whole(answers: list[tuple[float, float, str]]) -> None:
    whole, parts = Counting(), (Counting(), Counting())
    for place, (latency_ms, score, label) in enumerate(answers):
        whole.add(latency_ms, [classified(label, score)])
        parts[place % 2].add(latency_ms, [classified(label, score)])
    assert merged(part.evidence() for part in parts) == whole.evidence()
