"""Answers of two versions to the same frames: put together in whatever order they come, and counted once."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_node.pipeline.observation import Observation
from edge_node.supervisor.actual import RunningPipeline, Session
from edge_node.supervisor.comparing import MOST_WAITING, Comparing
from edge_node.supervisor.failing import IN_A_ROW
from edge_node.supervisor.shadows import Run, Shadows, minute_of_day
from edge_node.worker.messages import PipelineStatus, Status, Worker
from edge_node.worker.taking import sampled
from protos.deployment import Pipeline
from protos.evidence import Evidence, Shadow, bucket_of, merged
from protos.result import LatencyMs
from tests.unit.supervisor.world import digest, session

CURRENT, CANDIDATE = session(1).key, session(2).key


def answer(frame: int, key: str, label: str = "cat", ms: float = 6.0) -> Observation:
    outputs = ({"label": label, "score": 0.9, "index": 0},)
    return Observation("shelf", key, frame, LatencyMs(50.0, ms / 3, ms / 3, ms / 3), "classification", outputs)


def comparing(share: float = 1.0) -> Comparing:
    return Comparing("shelf", CURRENT, share)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), unique=True),
    st.sets(st.integers(0, 40)),
)
def test_every_frame_that_both_answered_is_compared_once_in_any_order(
    answers: list[tuple[int, bool]], differ: set[int]
) -> None:
    both = comparing()
    for frame, is_candidate in answers:
        if is_candidate:
            both.candidate(answer(frame, CANDIDATE, "dog" if frame in differ else "cat"), "")
        else:
            both.current(answer(frame, CURRENT), "")
    common = {frame for frame, _ in answers if {(frame, True), (frame, False)} <= set(answers)}
    candidate, reference = merged(both.evidence()), merged(both.reference())
    assert (candidate.samples, reference.samples) == (len(common), len(common))
    assert (candidate.compared, candidate.agreed) == (len(common), len(common - differ))
    assert reference.compared == 0
    assert both.left_out == 0


def test_latency_is_the_work_on_the_frame_without_its_waiting() -> None:
    both = comparing()
    both.current(answer(1, CURRENT, ms=6.0), "")
    both.candidate(answer(1, CANDIDATE, ms=12.0), "")
    assert [one.latency for one in both.reference()] == [{bucket_of(6.0): 1}]
    assert [one.latency for one in both.evidence()] == [{bucket_of(12.0): 1}]


def test_frames_that_the_candidate_never_answers_are_left_out() -> None:
    both = comparing()
    for frame in range(MOST_WAITING + 10):
        both.current(answer(frame, CURRENT), "")
    assert both.left_out == 10
    both.failed(4, "")
    assert both.left_out == 6, "a frame that was tried is not one that the budget left out"
    assert merged(both.evidence()).errors == 4


def test_of_frames_outside_the_share_nothing_is_expected() -> None:
    both = comparing(share=0.5)
    frames = range(10_000)
    for frame in frames:
        both.current(answer(frame, CURRENT), "")
    assert both.left_out == sum(sampled(frame, 0.5) for frame in frames) - MOST_WAITING


def test_answers_of_another_session_than_the_current_one_are_nobodys_reference() -> None:
    both = comparing()
    both.current(answer(1, "m@9"), "")
    both.candidate(answer(1, CANDIDATE), "")
    assert both.evidence() == ()


def test_failures_count_on_from_zero_when_the_pipeline_starts_again() -> None:
    both = comparing()
    for total in (2, 2, 5, 0, 3):
        both.failed(total, "")
    assert merged(both.evidence()).errors == 8


def test_each_shift_is_a_slice() -> None:
    both = comparing()
    for frame, shift in enumerate(("day", "day", "night")):
        both.current(answer(frame, CURRENT), shift)
        both.candidate(answer(frame, CANDIDATE), shift)
    assert [(one.shift, one.compared) for one in both.evidence()] == [("day", 2), ("night", 1)]
    assert [(one.pipeline, one.shift) for one in both.reference()] == [("shelf", "day"), ("shelf", "night")]


class SilentWorker:
    """A worker as far as a shadow looks at it."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.status: Status | None = None
        self.on_observed: Callable[[Sequence[Observation]], None] = lambda _: None
        self.on_status: Callable[[Status], None] = lambda _: None
        self.on_exit: Callable[[str], None] = lambda _: None


class World:
    """Shadows with one candidate, at a time that stands."""

    def __init__(self, **changes: Any) -> None:
        self.now, self.minute, self.changes = 100.0, 0, 0
        self.worker = SilentWorker()
        self.shadows = Shadows(lambda: self.now, lambda: 0, lambda: self.minute, lambda: 0.0)
        self.shadows.on_changed = self._changed
        shadow = Shadow("r1", "m", 2, digest(2), report_s=30.0, **changes)
        self.run = Run(shadow, cast("Worker", self.worker), session(2), "classification")
        self.shadows.begin("shelf", self.run)
        self.watch(session(1))

    def watch(self, current: Session) -> None:
        self.shadows.compares(self.run, [RunningPipeline("shelf", Pipeline(name="shelf", source="a"), current, 0.0)])

    def both_answer(self, frame: int, key: str = CURRENT) -> None:
        self.shadows.observed([answer(frame, key)])
        self.worker.on_observed([answer(frame, CANDIDATE)])

    def says(self, failed: int, failing: int) -> None:
        """The worker's status."""
        status = PipelineStatus("shelf", CANDIDATE, 0, 0, failed, 0, error="no", failing=failing)
        self.worker.status = Status((status,), (CANDIDATE,), 0)
        self.worker.on_status(self.worker.status)

    def told(self) -> Evidence:
        assert self.run.told is not None
        return merged(self.run.told.evidence)

    def _changed(self) -> None:
        self.changes += 1


def test_what_was_measured_is_told_at_its_time_and_not_before() -> None:
    world = World()
    world.both_answer(1)
    world.shadows.look()
    assert world.told().compared == 0
    world.now += 30
    world.shadows.look()
    assert world.told().compared == 1
    assert world.shadows.standing()["shelf"].tell_at == 160.0


def test_a_candidate_that_answers_no_frame_has_failed_and_what_it_counted_is_told() -> None:
    world = World()
    world.both_answer(1)
    world.says(failed=IN_A_ROW, failing=IN_A_ROW)
    stands = world.shadows.standing()["shelf"]
    assert stands.failed == "pipeline 'shelf' fails with it: no"
    assert stands.told is not None
    assert stands.told.state == "failed"
    assert (world.told().compared, world.told().errors) == (1, IN_A_ROW)
    assert world.changes == 1


def test_a_candidate_that_dies_has_failed_and_counts_no_more() -> None:
    world = World()
    world.worker.on_exit("killed by SIGSEGV")
    world.both_answer(1)
    world.now += 60
    world.shadows.look()
    assert world.run.failed == "killed by SIGSEGV"
    assert world.told().compared == 0


def test_another_session_of_the_current_version_begins_anew() -> None:
    world = World()
    world.both_answer(1)
    world.watch(session(1))
    assert world.run.comparing["shelf"].session == CURRENT
    assert merged(world.run.comparing["shelf"].evidence()).compared == 1
    world.watch(session(3))
    world.both_answer(2)
    assert world.run.comparing["shelf"].evidence() == ()
    world.both_answer(3, session(3).key)
    assert merged(world.run.comparing["shelf"].evidence()).compared == 1


@pytest.mark.parametrize(("minute", "shift"), [(7 * 60, "day"), (3 * 60, "")])
def test_answers_count_for_the_shift_that_it_is_here(minute: int, shift: str) -> None:
    world = World(shifts={"day": "06:00-18:00"})
    world.minute = minute
    world.both_answer(1)
    assert [one.shift for one in world.run.comparing["shelf"].evidence()] == [shift]


def test_the_minute_of_the_day_is_one() -> None:
    assert 0 <= minute_of_day() < 24 * 60
