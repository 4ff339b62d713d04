"""What may be required of a bundle before it is pushed."""

import msgspec
import pytest

from protos.digest import digest_of
from protos.errors import ContractError
from protos.evaluation import (
    ClassScore,
    Evaluation,
    SliceScore,
    VariantScore,
    parse_requirement,
    read_evaluation,
    shortcomings,
    unmet,
)

DIGEST = digest_of(b"model")
VARIANT = VariantScore(
    *("m.onnx", DIGEST, "onnxruntime", 100, 0.93, 5.0, 8.0, 9.0),
    classes=(ClassScore("cat", 50, 0.9, 0.96, 0.96), ClassScore("dog", 50, 0.9, 0.9, 0.9)),
    slices=(SliceScore("camera", "a", 60, 0.95), SliceScore("camera", "b", 40, 0.7)),
)
EVALUATION = Evaluation("accuracy", "photos", DIGEST, "2026-05-01T10:00:00Z", "a machine", (VARIANT,))
CONTENT = msgspec.json.encode(EVALUATION)
VARIANTS = {"m.onnx": DIGEST}


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("accuracy>=0.93", True),
        ("accuracy > 0.93", False),
        ("p95_ms<=8", True),
        ("p95_ms<8", False),
        ("worst_class>=0.9", True),
        ("worst_slice>=0.9", False),
        ("samples>=100", True),
        ("failed<=0", True),
    ],
)
def test_a_requirement_is_asked_of_every_variant(requirement: str, met: bool) -> None:
    lines = unmet(EVALUATION, [parse_requirement(requirement)])
    assert lines == () if met else "is required" in lines[0]


@pytest.mark.parametrize("text", ["", "accuracy", "accuracy>=high", "accuracy==1", ">=1", "accuracy>=-1", "a>=1;b>=1"])
def test_what_is_no_requirement_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ContractError, match=r"for example accuracy>=0\.9"):
        parse_requirement(text)


def test_a_requirement_says_what_it_was_written_as() -> None:
    assert str(parse_requirement(" p95_ms <= 50.0 ")) == "p95_ms<=50"


def test_what_was_not_evaluated_cannot_be_required() -> None:
    with pytest.raises(ContractError, match="'beauty' was not evaluated; there are: accuracy, failed"):
        unmet(EVALUATION, [parse_requirement("beauty>=1")])


def test_a_bundle_that_meets_all_has_no_shortcomings() -> None:
    assert shortcomings(CONTENT, VARIANTS, [parse_requirement("accuracy>=0.9")]) == ()


def test_where_nothing_is_required_no_evaluation_is_needed() -> None:
    assert shortcomings(None, VARIANTS, []) == ()


def test_a_bundle_without_an_evaluation_is_told_how_to_get_one() -> None:
    (line,) = shortcomings(None, VARIANTS, [parse_requirement("accuracy>=0.9")])
    assert "edgectl model evaluate" in line


def test_an_evaluation_of_another_file_counts_for_nothing() -> None:
    (line,) = shortcomings(CONTENT, {"m.onnx": digest_of(b"another")}, [parse_requirement("accuracy>=0.9")])
    assert "m.onnx as it is now" in line


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_rubbish_is_no_evaluation(content: bytes) -> None:
    with pytest.raises(ContractError, match=r"evaluation\.json is no evaluation"):
        read_evaluation(content)
