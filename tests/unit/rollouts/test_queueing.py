"""Two rollouts that want the same nodes."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.rollouts.queueing import goes_before, held_by_others
from coordinator.rollouts.records import Rollout
from coordinator.rollouts.states import ENDED, Stage, State
from tests.unit.rollouts.examples import a_member, a_rollout, a_spec, later, node


def named(name: str, state: State, priority: int = 0, age: float = 0, **changes: Any) -> Rollout:
    return replace(a_rollout(state, a_spec(priority=priority)), id=name, created_at=later(-age), **changes)


def test_what_has_begun_keeps_its_nodes_then_priority_counts_then_age() -> None:
    begun, urgent, old = named("a", State.FAILED), named("b", State.QUEUED, 5), named("c", State.QUEUED, age=9)
    young, paused = named("d", State.QUEUED), named("e", State.PAUSED, resumes=State.QUEUED)
    order = [begun, urgent, old, young, paused]
    assert all(goes_before(first, second) for i, first in enumerate(order) for second in order[i + 1 :])
    assert not any(goes_before(second, first) for i, first in enumerate(order) for second in order[i:])


def test_what_has_ended_or_is_not_started_yet_holds_nothing() -> None:
    for state in (*ENDED, State.DRAFT, State.AWAITING_APPROVAL):
        assert not goes_before(named("a", state, 9), named("b", State.QUEUED))


rollouts = st.builds(named, st.uuids().map(str), st.sampled_from(State), st.integers(-1, 1), st.integers(0, 2))


@given(rollouts, rollouts)
def test_never_do_two_wait_for_each_other(one: Rollout, other: Rollout) -> None:
    assert not (goes_before(one, other) and goes_before(other, one))


def test_the_nodes_that_others_hold_are_named() -> None:
    mine, other = named("shelf-2", State.QUEUED), named("door-1", State.RUNNING)
    memberships = {
        node(1): ((mine, a_member(1)), (other, a_member(1))),
        node(2): ((mine, a_member(2)), (other, a_member(2, Stage.LEFT))),
        node(3): ((mine, a_member(3)),),
    }
    assert held_by_others(mine, memberships) == {node(1): "door-1"}
    assert held_by_others(other, memberships) == {}
