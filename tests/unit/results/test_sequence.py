"""Any schedule of duplicates, gaps and reorderings yields every number exactly once and in order."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.results.records import Arrival, Kind
from coordinator.results.sequence import Taken, same_content, take
from edge_node.outbox.events import marked_late
from tests.durable.node import NODE
from tests.unit.results.arrivals import STREAM, result

pytestmark = pytest.mark.soak


def arrival(first: int, last: int | None = None) -> Arrival:
    kind = Kind.RESULT if last is None else Kind.HOLE
    return Arrival(kind, NODE, STREAM, first, first if last is None else last, b"%d" % first)


def numbers(taken: Taken) -> list[int]:
    results = [result.seq for result in taken.results]
    return sorted([*results, *(seq for hole in taken.holes for seq in range(hole.first, hole.seq + 1))])


results = st.integers(1, 40).map(arrival)
holes = st.tuples(st.integers(1, 40), st.integers(0, 9)).map(lambda hole: arrival(hole[0], hole[0] + hole[1]))
commits_of_messages = st.lists(st.lists(results | holes, max_size=12), max_size=8)


@given(st.integers(0, 20), commits_of_messages)
def test_whatever_comes_each_number_is_taken_once_in_order_and_without_a_gap(
    begin: int, commits: list[list[Arrival]]
) -> None:
    through, stored = begin, list[int]()
    for arrivals in commits:
        taken = take(through, arrivals)
        stored += numbers(taken)
        assert len(taken.results) + len(taken.holes) + len(taken.duplicates) + taken.beyond_gap == len(arrivals)
        through = taken.through
    assert stored == list(range(begin + 1, through + 1))


@given(st.integers(1, 30), st.lists(st.integers(0, 60), max_size=30), st.randoms())
def test_a_sender_that_repeats_and_reorders_but_insists_gets_everything_through(
    count: int, noise: list[int], shuffler: Random
) -> None:
    through, stored = 0, list[int]()
    for _ in range(count):
        schedule = [1 + number % count for number in noise] + [through + 1]
        shuffler.shuffle(schedule)
        taken = take(through, [arrival(seq) for seq in schedule])
        stored += numbers(taken)
        through = taken.through
        if through == count:
            break
    assert stored == list(range(1, count + 1))


def test_a_hole_that_grew_after_a_part_was_stored_is_taken_from_where_the_store_stands() -> None:
    taken = take(10, [arrival(5, 20)])
    assert [(hole.first, hole.seq) for hole in taken.holes] == [(11, 20)]
    assert taken.through == 20


def test_late_is_not_other_content_and_everything_else_is() -> None:
    event = result(1)
    assert same_content(event, marked_late(event))
    assert same_content(marked_late(event), event)
    assert not same_content(event, result(1, label="other"))
