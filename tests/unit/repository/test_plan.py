"""What is done next for a model from files: it comes to serve, is replaced without a gap, and goes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge_node.repository.plan import (
    Failure,
    Generation,
    Held,
    Step,
    complaint,
    next_step,
    noticed,
    retry_at,
    serves,
    states,
)

FIRST, SECOND = Generation("1", 1), Generation("1", 2)
NEWER = Generation("2", 3)
GENERATIONS = (FIRST, SECOND, NEWER)


def done(held: Held, step: Step) -> Held:
    """The model after a step has succeeded."""
    one = frozenset({step.generation})
    match step.verb:
        case "load":
            return replace(held, loaded=held.loaded | one)
        case "offer":
            assert one <= held.loaded
            return replace(held, offered=held.offered | one, connected=held.connected | one)
        case "withdraw":
            return replace(held, offered=held.offered - one, connected=held.connected - one)
        case "unload":
            assert not one & held.offered
            return replace(held, loaded=held.loaded - one)


def settled(held: Held, now: float = 0.0) -> tuple[Held, list[tuple[str, Generation]]]:
    """The model once nothing is left to do, and what was done."""
    taken: list[tuple[str, Generation]] = []
    while (step := next_step(held, now)) is not None:
        assert len(taken) < 50
        held = done(held, step)
        taken.append((step.verb, step.generation))
    return held, taken


def states_of(held: Held) -> dict[str, str]:
    return {one.version: one.state for one in states(held)}


def test_a_model_is_loaded_then_offered() -> None:
    held, taken = settled(Held("m", ("1",), frozenset({FIRST})))
    assert taken == [("load", FIRST), ("offer", FIRST)]
    assert serves(held)
    assert states_of(held) == {"1": "READY"}


def test_a_changed_file_is_offered_before_the_old_one_is_withdrawn() -> None:
    serving, _ = settled(Held("m", ("1",), frozenset({FIRST})))
    _, taken = settled(replace(serving, wanted=frozenset({SECOND})))
    assert taken == [("load", SECOND), ("offer", SECOND), ("withdraw", FIRST), ("unload", FIRST)]


def test_where_the_new_generation_cannot_be_loaded_the_old_one_serves_on_and_the_index_says_why() -> None:
    serving, _ = settled(Held("m", ("1",), frozenset({FIRST})))
    broken = replace(serving, wanted=frozenset({SECOND}), failures={SECOND: Failure("not a model")})
    held, taken = settled(broken)
    assert taken == []
    assert states_of(held) == {"1": "READY"}
    assert complaint(held) == "not a model"
    assert not serves(held)


def test_an_unloaded_model_is_withdrawn_first_and_shown_as_unloaded() -> None:
    serving, _ = settled(Held("m", ("1",), frozenset({FIRST})))
    leaving = replace(serving, wanted=frozenset())
    assert states_of(leaving) == {"1": "UNLOADING"}
    held, taken = settled(leaving)
    assert taken == [("withdraw", FIRST), ("unload", FIRST)]
    assert [(one.state, one.reason) for one in states(held)] == [("UNAVAILABLE", "unloaded")]


def test_the_newest_version_is_offered_last_and_is_the_default() -> None:
    _, taken = settled(Held("m", ("1", "2"), frozenset({NEWER, FIRST})))
    assert [generation for verb, generation in taken if verb == "offer"] == [FIRST, NEWER]


def test_a_failure_with_a_time_is_tried_again_then() -> None:
    held = Held("m", ("1",), frozenset({FIRST}), failures={FIRST: Failure("the worker died", retry_at=10.0)})
    assert next_step(held, 9.0) is None
    assert retry_at(held) == 10.0
    assert next_step(held, 10.0) == Step("load", "m", FIRST)


def test_after_the_workers_death_it_is_loaded_and_connected_again_and_not_withdrawn_meanwhile() -> None:
    serving, _ = settled(Held("m", ("1",), frozenset({FIRST})))
    dead = replace(serving, loaded=frozenset(), connected=frozenset())
    assert states_of(dead) == {"1": "LOADING"}
    _, taken = settled(dead)
    assert taken == [("load", FIRST), ("offer", FIRST)]


generations = st.frozensets(st.sampled_from(GENERATIONS))


@given(generations, generations, generations, generations)
def test_from_any_state_it_comes_to_rest_and_never_leaves_a_gap(
    wanted: frozenset[Generation], loaded: frozenset[Generation], offered: frozenset[Generation],
    failed: frozenset[Generation],
) -> None:  # fmt: skip
    connected = offered & loaded
    failures = {one: Failure("broken") for one in failed}
    held = Held("m", ("1", "2"), wanted, loaded, offered, connected, failures)
    for _ in range(30):
        step = next_step(held, 0.0)
        if step is None:
            break
        held = done(held, step)
        if connected and wanted:
            assert held.connected, "somebody serves at every moment"
    assert next_step(held, 0.0) is None
    assert wanted - failed <= held.connected
    if wanted <= held.connected:
        assert held.offered | held.loaded <= wanted


def test_what_is_noticed_on_the_disk_is_shown_and_what_serves_stays() -> None:
    new = noticed(Held("m"), ("1", "2"))
    assert new is not None
    assert [(one.version, one.state) for one in states(new)] == [("1", "UNAVAILABLE"), ("2", "UNAVAILABLE")]
    one = Generation("1", 1)
    serving = Held("m", ("1",), frozenset({one}), frozenset({one}), frozenset({one}), frozenset({one}))
    gone = noticed(serving, ())
    assert gone is not None
    assert [(one.version, one.state) for one in states(gone)] == [("1", "READY")]
    assert noticed(Held("m", ("1",)), ()) is None
