"""Rollouts in virtual fleets: what comes of them, and what holds whatever goes wrong."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import ENDED, State
from coordinator.sim.faults import Faults, Partition
from coordinator.sim.outcome import Outcome
from coordinator.sim.simulation import Setting, simulate
from tests import sizes


def simulated(nodes: int = 40, faults: dict[str, Any] | None = None, seed: int = 1, **spec: Any) -> Outcome:
    """The outcome, in which nothing was violated."""
    given_spec = {"canary": "5%", "waves": ("50%", "100%"), "max_parallel": "5", "auto_promote": True, **spec}
    setting = Setting(nodes, RolloutSpec("shelf", "m@2", **given_spec), Faults(**(faults or {})), seed)
    outcome = simulate(setting)
    assert outcome.violations == ()
    return outcome


def test_a_good_version_reaches_every_node() -> None:
    outcome = simulated(shadow_s=60.0, gates=("p95_ms<=50", "agreement>=0.9", "error_rate<=0.01"))
    assert (outcome.state, outcome.serving) == ("completed", {"m@2": 40})
    assert (outcome.started, outcome.failed, outcome.most_in_flight) == (40, 0, 5)
    assert outcome.final_states == {"healthy": 40}
    assert [sum(wave.stages.values()) for wave in outcome.waves] == [2, 18, 20]


@pytest.mark.soak
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 1.0])
@pytest.mark.parametrize("auto_revert", [False, True])
def test_of_a_bad_version_no_more_nodes_start_after_the_stop_than_were_in_flight(
    rate: float, auto_revert: bool
) -> None:
    nodes = min(sizes.times(150), 10_000)
    outcome = simulated(nodes, {"failure_rate": rate, "late": 0.2, "crash_rate": 0.1}, auto_revert=auto_revert)
    assert outcome.stopped_at_s is not None
    assert outcome.state == ("reverted" if auto_revert else "failed")
    assert outcome.started_after_stop <= outcome.in_flight_at_stop <= outcome.cap == 5
    if auto_revert:
        assert outcome.serving == {"m@1": nodes}


def test_nodes_that_are_away_get_the_newest_when_they_return() -> None:
    outcome = simulated(faults={"offline": 0.3, "offline_for": "1h"})
    assert outcome.state == "completed"
    assert outcome.serving == {"m@2": 40}
    assert outcome.final_states["absent"] == 12


def test_a_version_that_is_bad_at_some_sites_does_not_pass_by_its_average() -> None:
    faults = {"bad_sites": 0.1, "new_latency_ms": 10.0, "latency_ms": 40.0}
    gates = ("p50_ms<=50",)
    assert simulated(200, faults, gates=gates, max_parallel="100%").state == "completed"
    sliced = simulated(200, faults, gates=gates, max_parallel="100%", slices=("site",))
    assert sliced.state == "failed"
    assert "site=" in sliced.reason


def test_the_same_seed_comes_to_the_same() -> None:
    faults = {"failure_rate": 0.1, "late": 0.5, "lost": 0.1, "crash_rate": 0.2, "coordinators": 2}
    one, again, other = (simulated(20, faults, seed, max_failures="50%") for seed in (3, 3, 4))
    assert (one.virtual_s, one.started, one.rounds) == (again.virtual_s, again.started, again.rounds)
    assert one.virtual_s != other.virtual_s


def test_approval_and_promotion_are_given_at_once() -> None:
    assert simulated(20, auto_promote=False, approval=True).state == "completed"


rates = st.sampled_from((0.0, 0.0, 0.1, 0.5))
faults = st.builds(
    Faults,
    failure_rate=st.sampled_from((0.0, 0.05, 0.3, 1.0)),
    refusal_rate=rates,
    hang_rate=rates,
    offline=rates,
    partitions=st.just(()) | st.just((Partition("20s", "8m", 0.5),)),
    slow=rates,
    late=rates,
    late_by=st.sampled_from(("5s", "10m")),
    lost=rates,
    clock_skew=st.sampled_from(("0", "2d")),
    coordinators=st.integers(1, 3),
    crash_rate=rates,
)
specs = st.builds(
    RolloutSpec,
    st.just("shelf"),
    st.just("m@2"),
    canary=st.sampled_from(("", "1", "10%")),
    waves=st.sampled_from((("100%",), ("30%", "100%"))),
    max_parallel=st.sampled_from(("1", "4", "50%")),
    max_failures=st.sampled_from(("0", "20%", "100%")),
    shadow_s=st.sampled_from((0.0, 30.0)),
    gates=st.sampled_from(((), ("error_rate<=0.01", "returned<=0.5"))),
    auto_promote=st.booleans(),
    auto_revert=st.booleans(),
)


@pytest.mark.soak
@settings(max_examples=sizes.times(12))
@given(specs, faults, st.integers(1, 25), st.integers(0, 2**16))
def test_whatever_goes_wrong_the_rules_hold_and_the_rollout_comes_to_an_end(
    spec: RolloutSpec, wrong: Faults, nodes: int, seed: int
) -> None:
    outcome = simulate(Setting(nodes, spec, wrong, seed))
    assert outcome.violations == ()
    assert outcome.state in {*ENDED, State.FAILED}
    assert outcome.started_after_stop <= outcome.cap
    assert outcome.most_in_flight <= outcome.cap
    if outcome.state == "completed" and not wrong.hang_rate:
        assert outcome.serving == {"m@2": nodes}
