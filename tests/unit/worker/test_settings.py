"""What holds the worker of a candidate: no more memory than it is given or any worker has, and more patience."""

import pytest

from edge_node.sandbox.confinement import Confinement
from edge_node.worker.liveness import Limits, overgrown
from edge_node.worker.settings import PATIENCE, held_to, patient


@pytest.mark.parametrize(
    ("given", "everyone", "held"),
    [(None, 900, 900), (None, 0, 0), (100, 900, 100), (100, 0, 100), (999, 900, 900)],
)
def test_a_candidate_may_hold_what_it_is_given_and_no_more_than_any_worker(
    given: int | None, everyone: int, held: int
) -> None:
    confinement = Confinement(readable=("/models",), memory_mb=everyone)
    assert held_to(confinement, given) == Confinement(readable=("/models",), memory_mb=held)


def test_a_candidate_that_waits_for_others_is_not_taken_to_hang_as_soon() -> None:
    limits = Limits()
    patience = patient(limits)
    assert patience.busy_s == PATIENCE * limits.busy_s
    assert patience.silence_s == PATIENCE * limits.silence_s
    assert (patience.load_s, patience.answer_s) == (limits.load_s, limits.answer_s)


def test_what_it_held_too_much_of_is_called_by_the_name_that_people_know() -> None:
    limits = patient(Limits(memory_mb=100))
    assert overgrown(101 * 1024, limits) == "it held 101 MB, more than the shadow's memory_mb = 100"
