"""From answers to scores, the page, and the samples of golden vectors."""

from html.parser import HTMLParser

from edge_node.evaluation.measures import MEASURES, Case
from edge_node.evaluation.page import page
from edge_node.evaluation.summary import golden_files, score_of
from protos.bundle import Task
from protos.digest import digest_of
from protos.evaluation import Evaluation

MEASURE = MEASURES[Task.CLASSIFICATION]
DIGEST = digest_of(b"model")


def case(file: str, label: str, answer: str | None, camera: str = "a", latency_ms: float = 1.0) -> Case:
    """One answer."""
    error = "" if answer else "the engine gave up"
    return Case(file, {"camera": camera}, latency_ms, label, answered=answer, score=0.7, error=error)


CASES = (
    case("1.jpg", "cat", "cat", "a", 1.0),
    case("2.jpg", "cat", "dog", "b", 2.0),
    case("3.jpg", "dog", "dog", "b", 3.0),
    case("4.jpg", "dog", None, "b", 0.0),
)


def test_a_model_that_is_good_on_average_shows_the_camera_where_it_is_not() -> None:
    score = score_of("m.onnx", DIGEST, "onnxruntime", CASES, MEASURE)
    assert (score.samples, score.failed, score.score) == (4, 1, 0.5)
    assert [(one.by, one.value, one.samples, one.score) for one in score.slices] == [
        ("camera", "a", 1, 1.0),
        ("camera", "b", 3, 1 / 3),
    ]


def test_times_are_those_of_answers() -> None:
    score = score_of("m.onnx", DIGEST, "onnxruntime", CASES, MEASURE)
    assert (score.p50_ms, score.p99_ms) == (2.0, 3.0)


def test_golden_vectors_are_made_of_right_answers_of_as_many_labels_as_there_are_places() -> None:
    right = [case("1", "cat", "cat"), case("2", "cat", "cat"), case("3", "dog", "dog"), case("4", "owl", "dog")]
    assert golden_files(right, 2) == ("1", "3")
    assert golden_files(right, 9) == ("1", "3", "2")


class Reader(HTMLParser):
    """Follows tags, and keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_well_formed_loads_nothing_and_shows_labels_as_text() -> None:
    nasty = (*CASES, case("5.jpg", "<script>alert(1)</script>", "cat & dog"))
    score = score_of("m.onnx", DIGEST, "onnxruntime", nasty, MEASURE)
    evaluation = Evaluation("accuracy", "photos", DIGEST, "2026-05-01T10:00:00Z", "a machine", (score,))
    reader = Reader()
    reader.feed(page(evaluation, [nasty]))
    assert reader.open == []
    for expected in ("camera", "<script>alert(1)</script>", "cat & dog", "no answer", "Latency", "Confidence"):
        assert expected in reader.text


def test_a_page_of_a_variant_that_answered_nothing_is_a_page() -> None:
    silent = (case("1.jpg", "cat", None),)
    score = score_of("m.onnx", DIGEST, "onnxruntime", silent, MEASURE)
    evaluation = Evaluation("accuracy", "photos", DIGEST, "2026-05-01T10:00:00Z", "a machine", (score,))
    assert "nothing was answered" in page(evaluation, [silent])
