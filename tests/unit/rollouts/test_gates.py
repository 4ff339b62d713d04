"""Gates, their metrics, and how far distributions have moved."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import BadInput
from coordinator.rollouts.gates import Gate, Outcome, judge, parse_gate
from coordinator.rollouts.metrics import METRICS, Sample
from coordinator.rollouts.records import Measure
from coordinator.rollouts.stability import noise, psi
from protos.evidence import Evidence
from tests.unit.rollouts.examples import evidence


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("p95_ms<=50", Gate("p95_ms", "<=", 50)),
        ("agreement >= 0.98", Gate("agreement", ">=", 0.98)),
        ("footfall_error<1e-3", Gate("footfall_error", "<", 0.001)),
        ("restarts<1", Gate("restarts", "<", 1)),
    ],
)
def test_a_gate_is_read(text: str, gate: Gate) -> None:
    assert parse_gate(text, "f") == gate


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p95_ms", "is not a gate"),
        ("p95_ms=50", "is not a gate"),
        ("p95_ms<=fast", "is not a gate"),
        ("p95_ms<=nan", "is not a gate"),
        ("P95<=5", "is not a gate"),
        ("p95_ms>=50", "wrong way round: write p95_ms<=50"),
        ("agreement<=0.9", "wrong way round: write agreement>=0.9"),
        ("agreemnt>=0.9", "did you mean 'agreement'"),
        ("", "is not a gate"),
    ],
)
def test_what_is_no_gate_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        parse_gate(text, "f: gates")
    assert "\n" not in str(refused.value)


@given(
    st.sampled_from(sorted(METRICS)),
    st.booleans(),
    st.floats(0, 1e9, allow_nan=False).map(lambda bound: float(f"{bound:.12g}")),
)
def test_a_gate_is_written_as_it_is_read(metric: str, strict: bool, bound: float) -> None:
    gate = Gate(metric, ("<" if METRICS[metric].less_is_better else ">") + ("" if strict else "="), bound)
    assert parse_gate(str(gate), "f") == gate


HALF = tuple([500] + [0] * 18 + [500])
LOW = tuple([900] + [0] * 18 + [100])


@pytest.mark.parametrize(
    ("gate", "sample", "outcome"),
    [
        ("p95_ms<=50", {"evidence": evidence(ms=20)}, "passed"),
        ("p95_ms<=50", {"evidence": evidence(ms=90)}, "failed"),
        ("p95_ms<=50", {"evidence": evidence(99, ms=90)}, "waiting"),
        ("p50_ms<=50", {"evidence": Evidence()}, "waiting"),
        ("p99_ms<30", {"evidence": evidence(ms=20)}, "passed"),
        ("p95_ratio<=1.2", {"evidence": evidence(ms=20), "reference": evidence(ms=10)}, "failed"),
        ("p95_ratio<=1.2", {"evidence": evidence(ms=10), "reference": evidence(ms=10)}, "passed"),
        ("p95_ratio<=1.2", {"evidence": evidence(ms=10), "reference": evidence(9, ms=10)}, "waiting"),
        ("p95_ratio<=1.2", {"evidence": evidence(ms=10)}, "waiting"),
        ("error_rate<=0.001", {"evidence": evidence(1000, errors=0)}, "passed"),
        ("error_rate<=0.001", {"evidence": evidence(1000, errors=2)}, "failed"),
        ("error_rate<=0.001", {"evidence": evidence(0, errors=200)}, "failed"),
        ("error_rate<=0.001", {"evidence": evidence(10, errors=5)}, "waiting"),
        ("agreement>=0.98", {"evidence": evidence(compared=1000, agreed=985)}, "passed"),
        ("agreement>=0.98", {"evidence": evidence(compared=1000, agreed=970)}, "failed"),
        ("agreement>=0.98", {"evidence": evidence(compared=50, agreed=0)}, "waiting"),
        ("distance<=0.1", {"evidence": evidence(compared=200, distance=10.0)}, "passed"),
        ("distance<=0.1", {"evidence": evidence(compared=200, distance=30.0)}, "failed"),
        (
            "confidence_shift<=0.2",
            {"evidence": evidence(confidence=HALF), "reference": evidence(confidence=HALF)},
            "passed",
        ),
        (
            "confidence_shift<=0.2",
            {"evidence": evidence(confidence=LOW), "reference": evidence(confidence=HALF)},
            "failed",
        ),
        ("confidence_shift<=0.2", {"evidence": evidence(confidence=LOW)}, "waiting"),
        (
            "prediction_shift<=0.1",
            {"evidence": evidence(classes={"a": 900, "b": 100}), "reference": evidence(classes={"a": 500, "b": 500})},
            "failed",
        ),
        (
            "prediction_shift<=0.1",
            {"evidence": evidence(classes={"a": 510, "b": 490}), "reference": evidence(classes={"a": 500, "b": 500})},
            "passed",
        ),
        ("memory_mb<=200", {"nodes": 2, "memory_mb": 300.0}, "failed"),
        ("memory_mb<=200", {"nodes": 2, "memory_mb": 100.0}, "passed"),
        ("memory_mb<=200", {"nodes": 2}, "waiting"),
        ("restarts<=1", {"nodes": 5, "restarts": 2}, "failed"),
        ("restarts<=1", {"nodes": 5, "restarts": 1}, "passed"),
        ("restarts<=1", {}, "waiting"),
        ("returned<=0.1", {"nodes": 10, "returned": 2}, "failed"),
        ("returned<=0.1", {"nodes": 10, "returned": 1}, "passed"),
        ("fallback<=0", {"nodes": 10, "fell": 1}, "failed"),
        ("fallback<=0", {"nodes": 10}, "passed"),
        ("accuracy>=0.9", {"measures": {"accuracy": Measure(0.95, 500)}}, "passed"),
        ("accuracy>=0.9", {"measures": {"accuracy": Measure(0.85, 500)}}, "failed"),
        ("accuracy>=0.9", {"measures": {"accuracy": Measure(0.85, 50)}}, "waiting"),
        ("accuracy>=0.9", {"labelled": 500, "right": 475, "measures": {"accuracy": Measure(0.1, 500)}}, "passed"),
        ("accuracy>=0.9", {"labelled": 500, "right": 425}, "failed"),
        ("accuracy>=0.9", {"labelled": 50, "right": 10}, "waiting"),
        ("footfall_error<=3", {"measures": {"footfall_error": Measure(1.5, 500)}}, "passed"),
        ("footfall_error<=3", {"measures": {"footfall_error": Measure(math.nan, 500)}}, "waiting"),
        ("footfall_error<=3", {}, "waiting"),
    ],
)
def test_a_gate_says_what_the_sample_shows(gate: str, sample: dict[str, Any], outcome: str) -> None:
    assert judge(parse_gate(gate, "f"), Sample(**sample), 100).outcome == outcome


def test_a_verdict_says_its_numbers() -> None:
    verdict = judge(parse_gate("error_rate<=0.001", "f"), Sample(evidence(998, errors=2)), 100, "site=store-1")
    assert (verdict.value, verdict.bound, verdict.samples, verdict.needed) == (0.002, 0.001, 1000, 100)
    assert str(verdict) == (
        "error_rate<=0.001 (site=store-1) failed: errors / (answers + errors) is 0.002 (1000 samples)"
    )
    nothing = judge(parse_gate("p95_ms<=1", "f"), Sample(), 100)
    assert "is nothing yet (0 samples)" in str(nothing)
    assert nothing.outcome is Outcome.WAITING


def test_a_shift_that_chance_alone_could_explain_decides_nothing() -> None:
    small = tuple([8] * 20)
    sample = Sample(evidence(confidence=small), evidence(confidence=small))
    assert judge(parse_gate("confidence_shift<=0.2", "f"), sample, 100).outcome is Outcome.WAITING


counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000), max_size=6)


@given(counts, counts)
def test_the_index_is_symmetric_finite_and_never_below_zero(one: dict[str, int], other: dict[str, int]) -> None:
    assert math.isfinite(psi(one, other))
    assert psi(one, other) >= -1e-12
    assert psi(one, other) == pytest.approx(psi(other, one), abs=1e-12)


@given(counts)
def test_what_has_not_moved_has_the_index_zero(one: dict[str, int]) -> None:
    assert psi(one, one) == pytest.approx(0, abs=1e-12)


def test_the_index_is_that_of_the_formula() -> None:
    assert psi({"a": 300, "b": 700}, {"a": 500, "b": 500}) == pytest.approx(0.2 * math.log(7 / 3), rel=0.01)


def test_noise_falls_with_the_samples_and_is_infinite_without_any() -> None:
    assert noise({"a": 100, "b": 100}, {"a": 50, "b": 150}) == pytest.approx(0.01)
    assert noise({}, {"a": 1}) == math.inf
