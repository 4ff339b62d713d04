"""What the outbox gives up, and how the holes are written down, against a model that is a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from edge_node.outbox.policy import Candidate, Hole, Reason, given_up, holes, merged, uncovered

numbers = st.sets(st.integers(1, 60))
candidates = st.lists(
    st.builds(Candidate, seq=st.integers(1, 10**6), size=st.integers(1, 500)), unique_by=lambda c: c.seq
)


def numbers_of(found: list[Hole]) -> list[int]:
    return [seq for hole in found for seq in range(hole.first, hole.last + 1)]


@given(candidates, st.integers(-10, 20_000))
def test_the_first_candidates_go_and_no_more_than_needed(waiting: list[Candidate], excess: int) -> None:
    gone = given_up(waiting, excess)
    freed = [candidate.size for candidate in gone]
    assert gone == waiting[: len(gone)]
    assert sum(freed) >= excess or gone == waiting
    assert not gone or sum(freed[:-1]) < excess


@given(numbers)
def test_holes_cover_exactly_the_numbers_in_the_fewest_pieces(gone: set[int]) -> None:
    found = holes(gone, Reason.TOO_OLD)
    assert numbers_of(found) == sorted(gone)
    assert sum(hole.count for hole in found) == len(gone)
    assert len(found) == sum(1 for seq in gone if seq - 1 not in gone)


@given(numbers, st.data())
def test_merging_keeps_every_number_and_its_reason(gone: set[int], data: st.DataObject) -> None:
    reason_of = {seq: data.draw(st.sampled_from([Reason.TOO_OLD, Reason.DISK_FULL])) for seq in gone}
    pieces = [Hole(seq, seq, reason) for seq, reason in reason_of.items()]
    found = merged(data.draw(st.permutations(pieces)))
    assert {seq: hole.reason for hole in found for seq in numbers_of([hole])} == reason_of
    assert merged(found) == found


@given(st.integers(0, 20), numbers)
def test_what_is_read_and_what_is_uncovered_together_leave_no_number_out(after: int, present: set[int]) -> None:
    spans = [(seq, seq) for seq in sorted(present) if seq > after]
    missing = numbers_of(uncovered(after, spans))
    last = max((seq for seq in present if seq > after), default=after)
    assert sorted([*missing, *(first for first, _ in spans)]) == list(range(after + 1, last + 1))
