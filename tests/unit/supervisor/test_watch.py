"""What is wrong with a version, and what is not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.supervisor.growth import LEAST_MB, grown_mb
from edge_node.supervisor.watch import ENOUGH, FEW, MOST_STARTS, SLOWER, Terms, Vitals, fault, terms_of, too_often
from protos.evidence import Trial
from tests.unit.supervisor.world import deployment, digest

WELL = Vitals(digest(2), samples=100, p50_ms=5.0, p95_ms=9.0, before_p50_ms=5.0, memory_mb=100.0)


def test_a_trial_states_the_terms_and_every_probation_has_its_own() -> None:
    trial = Trial("r", healthy_s=60.0, max_error_rate=0.01, max_p95_ms=50.0, max_memory_mb=300.0, max_restarts=3)
    assert terms_of(deployment(2, trial=trial)) == Terms(60.0, 3, 0.01, 50.0, 300.0)
    assert terms_of(deployment(2, trial=Trial("r"))) == replace(Terms(), healthy_s=10.0)
    assert terms_of(deployment(2)) == Terms()


def test_a_version_that_keeps_its_terms_has_no_fault() -> None:
    assert fault(Terms(max_p95_ms=10.0, max_memory_mb=200.0), WELL) is None
    assert fault(Terms(), Vitals(digest(2))) is None


@pytest.mark.parametrize(
    ("terms", "changes", "reason"),
    [
        (Terms(), {"restarts": 2}, "the worker died of it 2 times (at most 1)"),
        (Terms(), {"errors": 101}, "101 of 201 frames got no answer (at most 50.000%)"),
        (Terms(max_error_rate=0.001), {"errors": 3}, "3 of 103 frames got no answer (at most 0.100%)"),
        (Terms(), {"errors": 999, "error": "NaN"}, "999 of 1099 frames got no answer (at most 50.000%): NaN"),
        (Terms(max_p95_ms=8.0), {}, "p95 is 9.0 ms (at most 8 ms)"),
        (Terms(), {"p50_ms": 21.0}, "it takes 21.0 ms where the version before took 5.0 ms (at most 4 times)"),
        (Terms(max_memory_mb=99.0), {}, "the worker holds 100 MB (at most 99 MB)"),
        (Terms(), {"grown_mb": 40.0}, "the worker's memory grows without end (40 MB more, now 100 MB)"),
    ],
)
def test_a_fault_is_one_line_with_its_numbers(terms: Terms, changes: dict[str, float | str], reason: str) -> None:
    assert fault(terms, replace(WELL, **changes)) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "changes"),
    [
        (Terms(max_error_rate=0.001), {"errors": 2}),
        (Terms(max_error_rate=0.0), {"samples": ENOUGH - 4, "errors": 3}),
        (Terms(max_p95_ms=8.0), {"samples": ENOUGH - 1}),
        (Terms(max_p95_ms=8.0), {"samples": FEW - 1, "p50_ms": 99.0, "p95_ms": 99.0}),
        (Terms(max_p95_ms=1000.0), {"p50_ms": 99.0, "p95_ms": 99.0}),
        (Terms(), {"p50_ms": SLOWER * 5.0}),
        (Terms(), {"samples": ENOUGH - 1, "p50_ms": 99.0}),
        (Terms(), {"p50_ms": 1.9, "before_p50_ms": 0.1}),
        (Terms(), {"p50_ms": 99.0, "p95_ms": 99.0, "before_p50_ms": None}),
    ],
)
def test_a_few_frames_or_a_little_noise_are_no_fault(terms: Terms, changes: dict[str, float]) -> None:
    assert fault(terms, replace(WELL, **changes)) is None  # type: ignore[arg-type]


def test_a_version_that_takes_far_too_long_is_found_out_by_its_median_early() -> None:
    slow = replace(WELL, samples=FEW, p50_ms=900.0, p95_ms=950.0)
    assert fault(Terms(max_p95_ms=50.0), slow) == "p95 is 950.0 ms (at most 50 ms)"


def test_a_version_that_ends_the_agent_again_and_again_has_to_go() -> None:
    assert too_often(MOST_STARTS) is None
    assert too_often(MOST_STARTS + 1) == "this node was started 4 times while it was on trial"


@given(
    samples=st.integers(0, 10**6),
    p95=st.floats(0.1, 1e4),
    share=st.floats(0.1, 1.0),
    before=st.none() | st.floats(0.1, 1e4),
    errors=st.floats(0, 0.5),
)
def test_nothing_that_keeps_the_terms_is_ever_sent_back(
    samples: int, p95: float, share: float, before: float | None, errors: float
) -> None:
    p50 = p95 * share
    vitals = Vitals(digest(2), samples, int(errors * samples), p50, p95, before, restarts=1, memory_mb=50.0)
    kept = Terms(max_p95_ms=p95, max_memory_mb=50.0)
    assert fault(kept, vitals) is None


def test_a_leak_grows_part_by_part() -> None:
    assert grown_mb([float(at * 4) for at in range(12)]) == 40.0
    assert grown_mb([float(at * 4) for at in range(11)]) == 0.0, "too few"
    assert grown_mb([float(at) for at in range(12)]) == 0.0, f"less than {LEAST_MB} MB"


@given(st.lists(st.floats(10, 500), min_size=1, max_size=4), st.integers(12, 60), st.floats(0, 8))
def test_steps_and_noise_are_no_leak(levels: list[float], count: int, noise: float) -> None:
    """A worker takes memory in a few steps, up and down, and each holds for a while."""
    samples = [levels[at * len(levels) // count] + noise * (at % 2) for at in range(count)]
    assert grown_mb(samples) == 0.0
