"""What persons may order: every state with every order."""

from dataclasses import replace

import pytest

from coordinator.errors import Conflict
from coordinator.rollouts.orders import order
from coordinator.rollouts.records import Decision, Member, Rollout
from coordinator.rollouts.states import ENDED, FOLLOWS, ORDERS, Order, Stage, State
from tests.unit.rollouts.examples import AFTER, NOW, a_member, a_rollout, a_spec, after, by_node, later

BECOMES = {
    (State.DRAFT, Order.START): State.QUEUED,
    (State.DRAFT, Order.ABORT): State.ABORTED,
    (State.AWAITING_APPROVAL, Order.PROMOTE): State.QUEUED,
    (State.AWAITING_APPROVAL, Order.ABORT): State.ABORTED,
    (State.QUEUED, Order.PAUSE): State.PAUSED,
    (State.QUEUED, Order.ABORT): State.ABORTED,
    (State.SHADOWING, Order.PROMOTE): State.RUNNING,
    (State.SHADOWING, Order.PAUSE): State.PAUSED,
    (State.SHADOWING, Order.ABORT): State.ABORTED,
    (State.SHADOWING, Order.REVERT): State.REVERTING,
    (State.RUNNING, Order.PROMOTE): State.RUNNING,
    (State.RUNNING, Order.PAUSE): State.PAUSED,
    (State.RUNNING, Order.ABORT): State.REVERTING,
    (State.RUNNING, Order.REVERT): State.REVERTING,
    (State.PAUSED, Order.RESUME): State.RUNNING,
    (State.PAUSED, Order.ABORT): State.ABORTED,
    (State.PAUSED, Order.REVERT): State.REVERTING,
    (State.FAILED, Order.PROMOTE): State.RUNNING,
    (State.FAILED, Order.RESUME): State.RUNNING,
    (State.FAILED, Order.ABORT): State.ABORTED,
    (State.FAILED, Order.REVERT): State.REVERTING,
}
"""of a rollout where nobody has the new version"""


def ordered(rollout: Rollout, what: Order, *members: Member) -> Decision:
    """What anna's order makes of it, five seconds later."""
    return order(rollout, by_node(members), what, "anna", later(5))


@pytest.mark.parametrize("what", Order)
@pytest.mark.parametrize("state", State)
def test_every_order_in_every_state_is_carried_out_or_refused_in_one_line(state: State, what: Order) -> None:
    rollout = a_rollout(state)
    if what not in ORDERS[state]:
        with pytest.raises(Conflict, match=rf"^rollout shelf-1 is {state}: {what} is not possible; [^\n]+$"):
            ordered(rollout, what)
        return
    decision = ordered(rollout, what)
    assert decision.rollout.state is BECOMES[state, what]
    assert (decision.events[0].kind, decision.events[0].text) == ("order", f"anna: {what}")


def test_the_tables_are_whole() -> None:
    assert set(FOLLOWS) == set(ORDERS) == set(State)
    assert {State.COMPLETED, State.REVERTED, State.ABORTED} == ENDED
    assert {(state, what) for state in State for what in ORDERS[state]} == set(BECOMES)


def test_a_rollout_that_needs_approval_waits_for_it_and_remembers_by_whom() -> None:
    waiting = ordered(a_rollout(State.DRAFT, a_spec(approval=True)), Order.START).rollout
    assert (waiting.state, waiting.reason) == (State.AWAITING_APPROVAL, "waits for an admin's promote")
    approved = ordered(waiting, Order.PROMOTE).rollout
    assert (approved.state, approved.approved_by) == (State.QUEUED, "anna")


@pytest.mark.parametrize("state", [State.QUEUED, State.SHADOWING, State.RUNNING])
def test_resume_goes_on_where_it_was_paused(state: State) -> None:
    paused = ordered(a_rollout(state), Order.PAUSE).rollout
    assert (paused.resumes, paused.reason, paused.since) == (state, "by anna", later(5))
    resumed = ordered(paused, Order.RESUME).rollout
    assert (resumed.state, resumed.resumes, resumed.attempt) == (state, None, 0)


def test_after_a_failure_resume_has_those_that_failed_try_again() -> None:
    failed = a_rollout(State.FAILED, resumes=State.RUNNING)
    members = a_member(1, Stage.FAILED), a_member(2, Stage.HEALTHY), a_member(3, Stage.REVERTED, attempt=4)
    rollout, now = after(failed, by_node(members), ordered(failed, Order.RESUME, *members))
    assert (rollout.state, rollout.attempt, rollout.progress_at) == (State.RUNNING, 1, later(5))
    assert [(m.stage, m.attempt) for m in now.values()] == [(Stage.WAITING, 1), (Stage.HEALTHY, 0), (Stage.WAITING, 5)]


def test_after_a_failed_gate_promote_lets_the_wave_pass() -> None:
    promoted = ordered(a_rollout(State.FAILED, resumes=State.RUNNING, wave=2), Order.PROMOTE).rollout
    assert (promoted.state, promoted.promoted, promoted.wave) == (State.RUNNING, 2, 2)


def test_after_a_failed_shadow_resume_begins_it_again_and_promote_goes_on_without() -> None:
    failed = a_rollout(State.FAILED, resumes=State.SHADOWING)
    assert ordered(failed, Order.RESUME).rollout.state is State.SHADOWING
    assert ordered(failed, Order.PROMOTE).rollout.state is State.RUNNING


def test_promote_of_a_wave_that_has_passed_ends_the_reason_why_it_waits() -> None:
    waits = replace(a_rollout(State.RUNNING), reason="wave 0 has passed; waits for promote")
    assert ordered(waits, Order.PROMOTE).rollout.reason == ""


def test_promote_ends_the_shadow() -> None:
    decision = ordered(a_rollout(State.SHADOWING), Order.PROMOTE, a_member(1, Stage.SHADOWING))
    assert (decision.rollout.state, decision.rollout.wave) == (State.RUNNING, 0)
    assert decision.members == (a_member(1, Stage.WAITING, since=later(5), attempt=1),)


@pytest.mark.parametrize(("what", "ends"), [(Order.ABORT, State.ABORTED), (Order.REVERT, State.REVERTED)])
@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.FAILED])
def test_abort_and_revert_give_up_the_version_where_it_is(state: State, what: Order, ends: State) -> None:
    members = a_member(1, Stage.ORDERED), a_member(2, Stage.HEALTHY), a_member(3), a_member(4, Stage.FAILED)
    decision = ordered(a_rollout(state, resumes=State.RUNNING), what, *members)
    assert (decision.rollout.state, decision.rollout.resumes) == (State.REVERTING, ends)
    assert {member.node: member.stage for member in decision.members} == {
        members[0].node: Stage.REVERTING,
        members[1].node: Stage.REVERTING,
    }


def test_abort_and_revert_end_the_shadow() -> None:
    shadowing = a_member(1, Stage.SHADOWING)
    for what in (Order.ABORT, Order.REVERT):
        assert ordered(a_rollout(State.SHADOWING), what, shadowing).members[0].stage is Stage.WAITING


def test_abort_ends_a_revert_that_a_node_never_follows() -> None:
    stubborn = a_member(1, Stage.REVERTING)
    decision = ordered(a_rollout(State.FAILED, resumes=State.RUNNING), Order.ABORT, stubborn)
    assert (decision.rollout.state, decision.members) == (State.ABORTED, ())


def test_nothing_is_reverted_to_the_very_version_that_failed() -> None:
    same = replace(a_rollout(State.FAILED), before_digest=AFTER)
    with pytest.raises(Conflict, match="both versions are the same bundle; abort gives it up"):
        ordered(same, Order.REVERT)
    assert ordered(same, Order.ABORT).rollout.state is State.ABORTED


def test_an_order_changes_nothing_else() -> None:
    rollout = a_rollout()
    decision = ordered(rollout, Order.PROMOTE, a_member(1, Stage.ORDERED))
    assert decision.members == ()
    assert decision.rollout == replace(rollout, promoted=0)
    assert rollout.since == NOW
