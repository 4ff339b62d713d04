"""What is measured of the versions that serve: by slice, up to the switch, and only of what serves."""

from edge_node.pipeline.observation import Observation
from edge_node.supervisor.measuring import LOOKS, Measuring
from edge_node.supervisor.watch import ENOUGH
from edge_node.worker.messages import LaneStatus, PipelineStatus, Status
from protos.evidence import Evidence, bucket_of
from protos.result import LatencyMs
from tests.unit.supervisor.world import digest, session

OLD, NEW = digest(1), digest(2)
KEY = session(2).key
STANDING = {KEY: frozenset({("shelf", NEW)})}


def seen(pipeline: str = "shelf", infer_ms: float = 5.0) -> Observation:
    latency = LatencyMs(queue=50.0, preprocess=1.0, infer=infer_ms, postprocess=1.0)
    return Observation(pipeline, KEY, 0, latency, "classification", ({"label": "cat", "score": 0.9, "index": 0},))


def status(errors: int = 0, memory_kb: int = 1024, lane: LaneStatus | None = None) -> Status:
    pipeline = PipelineStatus("shelf", KEY, 0, 0, 0, 0, errors=errors, error="no reason")
    return Status((pipeline,), (KEY,), memory_kb, lanes=() if lane is None else (lane,))


def measuring(before: int = 1) -> Measuring:
    """Version 2 serves, after version 1 gave a few answers."""
    made = Measuring(lambda: 100.0, lambda: "now")
    made.serves("shelf", OLD)
    for _ in range(before):
        made.answered("shelf", OLD, seen())
    made.serves("shelf", NEW)
    return made


def evidence(made: Measuring) -> tuple[Evidence, ...]:
    found = made.of("shelf", NEW)
    assert found is not None
    return found.evidence


def test_a_switch_freezes_what_was_measured_as_the_reference() -> None:
    made = measuring()
    made.answered("shelf", OLD, seen())
    made.answered("shelf", NEW, seen())
    made.answered("shelf", NEW, seen("door"))
    found = made.of("shelf", NEW)
    assert found is not None
    assert [(one.pipeline, one.samples) for one in found.reference] == [("shelf", 1)], "a late one counts no more"
    assert [(one.pipeline, one.samples) for one in found.evidence] == [("shelf", 1), ("door", 1)]
    assert found.evidence[0].latency == {bucket_of(7.0): 1}, "waiting is not the version's"
    assert made.of("shelf", digest(3)) is None


def test_a_shift_is_a_slice_of_its_own() -> None:
    made = measuring()
    made.answered("shelf", NEW, seen())
    made.shifts = {"shelf": "night"}
    made.answered("shelf", NEW, seen())
    assert [(one.shift, one.samples) for one in evidence(made)] == [("", 1), ("night", 1)]


def test_failures_are_counted_once_however_often_they_are_said_and_from_0_by_another_worker() -> None:
    made = measuring()
    for said in (status(2), status(2), status(5)):
        made.look(said, STANDING)
        made.look(said, STANDING)
    made.worker_ended()
    made.look(status(4), STANDING)
    assert evidence(made)[0].errors == 9
    made.look(status(3), {KEY: frozenset({("shelf", OLD)})})
    assert evidence(made)[0].errors == 9


def test_answers_to_clients_are_a_slice_without_a_pipeline() -> None:
    made = measuring()
    for answered, failed in ((3, 0), (5, 1)):
        lane = LaneStatus(KEY, True, answered, failed=99, errors=failed, latency={bucket_of(4.0): answered})
        made.look(status(lane=lane), STANDING)
    fresh = LaneStatus(KEY, True, 1, 0, latency={bucket_of(9.0): 1})
    made.look(status(lane=fresh), STANDING)
    (clients,) = evidence(made)
    assert (clients.pipeline, clients.samples, clients.errors) == ("", 6, 1)
    assert clients.latency == {bucket_of(4.0): 5, bucket_of(9.0): 1}


def test_of_a_version_before_that_gave_few_answers_too_little_is_known() -> None:
    assert measuring(ENOUGH - 1).vitals()["shelf"].before_p50_ms is None


def test_vitals_are_of_what_serves_beside_the_version_before() -> None:
    made = measuring(ENOUGH)
    for _ in range(10):
        made.answered("shelf", NEW, seen(infer_ms=98.0))
    made.died("shelf", NEW)
    for _ in range(LOOKS):
        assert made.vitals()["shelf"].memory_mb == 0.0, "the version before may still be there"
        made.look(status(1, memory_kb=2048), STANDING)
    vitals = made.vitals()["shelf"]
    assert (vitals.digest, vitals.samples, vitals.errors, vitals.restarts, vitals.memory_mb) == (NEW, 10, 1, 1, 2.0)
    assert vitals.error == "no reason"
    assert vitals.p50_ms is not None
    assert vitals.before_p50_ms is not None
    assert abs(vitals.p50_ms - 100.0) <= 2.0
    assert abs(vitals.before_p50_ms - 7.0) <= 0.14


def test_a_leak_is_seen_within_a_dozen_looks_and_another_workers_size_is_another_matter() -> None:
    made = measuring()
    for at in range(12):
        made.look(status(memory_kb=1024 * (100 + 5 * at)), STANDING)
    assert made.vitals()["shelf"].grown_mb == 50.0
    made.worker_ended()
    assert made.vitals()["shelf"].grown_mb == 0.0


def test_relief_by_the_last_good_version_for_a_moment_does_not_make_a_version_new() -> None:
    made = measuring()
    made.answered("shelf", NEW, seen())
    made.died("shelf", NEW)
    made.serves("shelf", OLD)
    made.serves("shelf", NEW)
    found = made.of("shelf", NEW)
    assert found is not None
    assert (found.restarts, found.evidence[0].samples, found.reference[0].samples) == (1, 1, 1)


def test_another_attempt_begins_anew_also_where_the_version_serves_already() -> None:
    made = measuring()
    made.answered("shelf", NEW, seen())
    made.begin("shelf", NEW)
    found = made.of("shelf", NEW)
    assert found is not None
    assert (found.evidence, found.reference[0].samples, found.since) == ((), 1, "now")
    made.answered("shelf", NEW, seen())
    assert evidence(made)[0].samples == 1
    made.forget("shelf")
    assert made.of("shelf", OLD) is None
    assert made.of("shelf", NEW) is not None
    made.drop("shelf")
    assert made.vitals() == {}
    assert made.of("shelf", NEW) is None
