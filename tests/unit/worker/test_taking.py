"""Which frames a shadow takes: the rate, the share and the budget, with times as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.worker.messages import Budget, PipelineRun
from edge_node.worker.taking import SAVED_S, CpuBudget, Taking, sampled

START_NS = 1_900_000_000 * 10**9


def run(fps: float | None = None, shadow: Budget | None = None) -> PipelineRun:
    return PipelineRun("shelf", "m@1", "/run/line.sock", fps=fps, shadow=shadow)


def taken(taking: Taking, count: int, cost_s: float = 0.0) -> list[int]:
    """The frames of 30 a second that are taken, each of which costs some time of the processor."""
    found: list[int] = []
    for number in range(count):
        at = number / 30
        if taking.takes(at, START_NS + int(at * 1e9), at, cost_s * len(found)):
            found.append(number)
    return found


@given(st.floats(0, 1), st.floats(25, 70))
def test_a_share_of_the_frames_is_that_share_of_them(share: float, fps: float) -> None:
    frames = [START_NS + int(number / fps * 1e9) for number in range(2000)]
    assert sum(sampled(one, share) for one in frames) / len(frames) == pytest.approx(share, abs=0.08)


@given(st.integers(0, 2**63), st.floats(0, 1), st.floats(0, 1))
def test_what_is_in_a_share_is_in_every_larger_one(captured_ns: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert sampled(captured_ns, large) or not sampled(captured_ns, small)


def test_all_of_the_frames_are_all_and_none_of_them_is_none() -> None:
    assert all(sampled(START_NS + number, 1.0) for number in range(1000))
    assert not any(sampled(START_NS + number, 0.0) for number in range(1000))


@given(st.floats(0.05, 1), st.floats(0.001, 2), st.floats(0.001, 0.1))
def test_a_budget_is_kept_on_average(cores: float, cost_s: float, pause_s: float) -> None:
    budget = CpuBudget(cores)
    now_s = spent_s = 0.0
    while now_s < 100:
        if budget.allows(now_s, spent_s):
            spent_s += cost_s
            now_s += cost_s
        now_s += pause_s
    assert spent_s <= cores * (now_s + SAVED_S) + cost_s


def test_what_an_idle_hour_did_not_use_is_not_for_later() -> None:
    budget = CpuBudget(0.5)
    assert budget.allows(0.0, 0.0)
    assert budget.allows(3600.0, 0.0)
    assert not budget.allows(3600.0, 0.5 * SAVED_S)


def test_frames_beyond_the_budget_are_left_out() -> None:
    free, dear = (taken(Taking(run(shadow=Budget(cpu=0.5))), 900, cost_s) for cost_s in (0.0, 0.1))
    assert len(free) == 900
    assert 30 * 0.5 / 0.1 <= len(dear) <= 30 * 0.5 / 0.1 + SAVED_S * 0.5 / 0.1 + 1


def test_a_shadow_takes_of_the_frames_that_the_rate_keeps() -> None:
    kept = taken(Taking(run(fps=5)), 900)
    shadow = taken(Taking(run(fps=5, shadow=Budget(share=0.5))), 900)
    assert set(shadow) < set(kept)
    assert len(shadow) == pytest.approx(len(kept) / 2, abs=len(kept) / 8)


def test_a_pipeline_that_is_no_shadow_has_no_budget() -> None:
    assert taken(Taking(run()), 90, cost_s=10.0) == list(range(90))
