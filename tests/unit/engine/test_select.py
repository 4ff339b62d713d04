"""Which variant serves, decided from proofs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.engine.proof import VariantProof
from edge_node.engine.select import Choice, NoChoice, choose


def proof(file: str, p95: float, *, agrees: bool = True, agreement: float = 1.0, error: str = "") -> VariantProof:
    return VariantProof(
        file,
        "stub",
        "1",
        "cpu",
        1,
        vectors=4,
        agrees=agrees,
        agreement=agreement,
        tolerance=0.9,
        p95_ms=p95,
        error=error,
    )


def chosen(choice: Choice | NoChoice) -> str:
    assert isinstance(choice, Choice), choice
    return choice.proof.file


def test_the_fastest_that_agrees_is_chosen() -> None:
    choice = choose([proof("a", 9.0), proof("b", 5.0), proof("c", 1.0, agrees=False)])
    assert chosen(choice) == "b"
    assert isinstance(choice, Choice)
    assert choice.reason == "the fastest of 2 that agree: p95 5.00 ms"


@pytest.mark.parametrize(("rival", "winner"), [(9.5, "old"), (9.01, "old"), (9.0, "new"), (5.0, "new")])
def test_the_previous_choice_stays_unless_another_is_ten_percent_faster(rival: float, winner: str) -> None:
    assert chosen(choose([proof("old", 10.0), proof("new", rival)], previous="old")) == winner


def test_a_previous_choice_that_no_longer_agrees_is_left() -> None:
    assert chosen(choose([proof("old", 1.0, agrees=False), proof("new", 9.0)], previous="old")) == "new"


def test_a_previous_choice_that_is_gone_does_not_matter() -> None:
    assert chosen(choose([proof("a", 3.0), proof("b", 2.9)], previous="gone")) == "b"


def test_a_pin_wins_over_speed() -> None:
    assert chosen(choose([proof("slow", 10.0), proof("fast", 1.0)], previous="fast", pin="slow")) == "slow"


def test_a_pin_never_wins_over_disagreement() -> None:
    choice = choose([proof("bad", 1.0, agrees=False, agreement=0.25), proof("good", 9.0)], pin="bad")
    assert choice == NoChoice("bad (stub): agreement 0.25 against 0.9 on 4 golden vectors")


def test_a_pin_that_is_not_in_the_bundle_names_what_is() -> None:
    choice = choose([proof("a", 1.0)], pin="b")
    assert choice == NoChoice("the pinned variant 'b' is not in the bundle or not proven: proven are a")


def test_why_none_serves_is_said_of_each() -> None:
    proofs = [proof("a", 0.0, agrees=False, error="not a model"), proof("b", 2.0, agrees=False, agreement=0.5)]
    assert choose(proofs) == NoChoice("a (stub): not a model; b (stub): agreement 0.5 against 0.9 on 4 golden vectors")


def test_an_empty_list_of_proofs_gives_no_choice() -> None:
    assert choose([]) == NoChoice("the bundle has no variants")


def test_one_lucky_measurement_among_many_does_not_move_the_choice() -> None:
    proofs = [proof("old", 10.0), proof("new", 9.9), proof("new", 5.0), proof("new", 9.9), proof("old", 10.1)]
    assert chosen(choose(proofs, previous="old")) == "old"


def test_a_variant_that_disagreed_once_does_not_serve() -> None:
    assert chosen(choose([proof("a", 1.0), proof("a", 1.0, agrees=False), proof("b", 9.0)])) == "b"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 100), st.booleans()), max_size=8),
    st.sampled_from("abcd"),
)
def test_what_disagrees_never_serves_and_choosing_again_changes_nothing(
    measured: list[tuple[str, float, bool]], previous: str
) -> None:
    proofs = [proof(file, p95, agrees=agrees) for file, p95, agrees in measured]
    choice = choose(proofs, previous=previous)
    assert isinstance(choice, Choice) == any(
        all(agrees for other, _, agrees in measured if other == file) for file, _, _ in measured
    )
    if isinstance(choice, Choice):
        assert choice.proof.agrees
        assert chosen(choose(proofs, previous=choice.proof.file)) == choice.proof.file
