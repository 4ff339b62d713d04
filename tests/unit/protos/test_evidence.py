"""Evidence adds up, and its quantiles are right to the accuracy that the sketch promises."""

import math

from hypothesis import given
from hypothesis import strategies as st

from protos.evidence import (
    ACCURACY,
    CONFIDENCE_BINS,
    LEAST_MS,
    MOST_MS,
    Evidence,
    bucket_of,
    confidence_bin,
    merged,
    quantile,
)

latencies = st.lists(st.floats(LEAST_MS, MOST_MS), min_size=1, max_size=200)
evidence = st.builds(
    Evidence,
    samples=st.integers(0, 1000),
    latency=st.dictionaries(st.integers(-100, 400), st.integers(1, 50), max_size=5),
    confidence=st.one_of(st.just(()), st.tuples(*[st.integers(0, 9)] * CONFIDENCE_BINS)),
    classes=st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=4),
    agreed=st.integers(0, 9),
)


def sketch(values: list[float]) -> dict[int, int]:
    """The buckets of these latencies."""
    return merged(Evidence(latency={bucket_of(value): 1}) for value in values).latency


@given(latencies, st.floats(0, 1))
def test_a_quantile_is_right_to_the_accuracy(values: list[float], q: float) -> None:
    """Against the exact order statistic."""
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    found = quantile(sketch(values), q)
    assert found is not None
    assert abs(found - exact) <= ACCURACY * exact * (1 + 1e-6)


def test_nothing_has_no_quantile() -> None:
    """Rather than 0 ms."""
    assert quantile({}, 0.95) is None


def test_latencies_beyond_the_ends_count_at_the_ends() -> None:
    """A clock that went backwards gives no bucket of its own."""
    assert bucket_of(-1.0) == bucket_of(LEAST_MS)
    assert bucket_of(1e12) == bucket_of(MOST_MS)


def test_scores_beyond_zero_to_one_count_in_the_outermost_bins() -> None:
    """Logits are no probabilities."""
    assert [confidence_bin(score) for score in (-3.0, 0.0, 0.999, 1.0, 7.0)] == [0, 0, 19, 19, 19]


@given(st.lists(evidence, max_size=4), st.lists(evidence, max_size=4))
def test_merging_in_parts_is_merging_at_once(some: list[Evidence], others: list[Evidence]) -> None:
    """Sums of sums: sites first, then the wave, says the same as all nodes at once."""
    assert merged([merged(some), merged(others)]) == merged([*some, *others])
