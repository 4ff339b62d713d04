"""What a decision grows from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.rollouts.states import FOLLOWS, STAGES, Stage, State
from coordinator.rollouts.sums import Sum
from coordinator.rollouts.turn import Turn
from protos.evidence import Evidence, merged
from tests.unit.rollouts.examples import NOW, a_member, a_rollout, by_node, later


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("following", State)
def test_only_what_the_table_has_may_follow(state: State, following: State) -> None:
    turn = Turn(a_rollout(state), {}, NOW)
    if following in FOLLOWS[state]:
        turn.become(following, "why", resumes=State.RUNNING)
        assert turn.decision().rollout == a_rollout(following, reason="why", resumes=State.RUNNING)
    else:
        with pytest.raises(AssertionError, match=f"a rollout that is {state} cannot become {following}"):
            turn.become(following)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("following", Stage)
def test_a_member_moves_along_its_table_and_whoever_had_something_tries_anew(stage: Stage, following: Stage) -> None:
    member = a_member(1, stage)
    turn = Turn(a_rollout(), by_node([member]), later(5))
    if following not in STAGES[stage]:
        with pytest.raises(AssertionError, match=f"a member that is {stage} cannot become {following}"):
            turn.move(member, following)
        return
    turn.move(member, following, "why")
    (moved,) = turn.decision().members
    assert (moved.stage, moved.since, moved.reason) == (following, later(5), "why")
    had = stage not in (Stage.WAITING, Stage.ABSENT, Stage.LEFT)
    gets_nothing = following in (Stage.WAITING, Stage.ABSENT, Stage.LEFT)
    assert moved.attempt == int(had and gets_nothing)


counts = st.dictionaries(st.integers(0, 5), st.integers(0, 9), max_size=3)
bins = st.just(()) | st.lists(st.integers(0, 9), min_size=20, max_size=20).map(tuple)
number = st.integers(0, 100)
pieces = st.builds(
    Evidence,
    samples=number,
    errors=number,
    latency=counts,
    confidence=bins,
    classes=counts.map(lambda found: {str(key): value for key, value in found.items()}),
    compared=number,
    agreed=number,
    distance=st.floats(0, 100),
)


@given(st.lists(pieces, max_size=5))
def test_a_sum_is_what_merging_gives(parts: list[Evidence]) -> None:
    whole, found = Sum(parts), merged(parts)
    for key in ("samples", "errors", "latency", "confidence", "classes", "compared", "agreed", "distance"):
        assert getattr(whole, key) == getattr(found, key)
