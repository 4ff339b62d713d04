"""Faults as they are written, the clock, and what is watched."""

from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from coordinator.errors import BadInput
from coordinator.rollouts.states import Stage, State
from coordinator.sim.agenda import Agenda
from coordinator.sim.faults import Faults, Partition, parse_faults
from coordinator.sim.node import VirtualNode
from coordinator.sim.watching import Watch
from protos.desired import DesiredDeployment
from protos.digest import digest_of
from protos.evidence import Trial
from tests.unit.rollouts.examples import AFTER, BEFORE, NOW, a_rollout, a_spec, later, node


def test_faults_are_read() -> None:
    document = {"failure_rate": 0.2, "partitions": [{"at": "1m", "lasts": "10m", "share": 0.5}], "late_by": "2m"}
    faults = parse_faults(document, "faults.yaml")
    assert faults == Faults(failure_rate=0.2, partitions=(Partition("1m", "10m", 0.5),), late_by="2m")
    assert faults.seconds("late_by") == 120
    assert parse_faults({}, "f") == Faults()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"failure_rte": 1}, "unknown key 'failure_rte'; did you mean 'failure_rate'"),
        ({"failure_rate": 2.0}, "failure_rate must be within 0 and 1"),
        ({"late_by": "soon"}, "late_by: 'soon' is not a duration"),
        ({"partitions": [{"at": "1m", "lasts": "x"}]}, "partitions: lasts: 'x' is not a duration"),
        ({"partitions": [{"at": "1m", "lasts": "1m", "share": 3.0}]}, "partitions: share must be within 0 and 1"),
        ({"coordinators": 0}, "coordinators must be within 1 and 8"),
        ({"slow_factor": 0.0}, "must be above 0"),
        ({"lost": 1.0}, "crash_rate and lost must be below 1"),
    ],
)
def test_what_is_wrong_with_faults_is_said_in_one_line(document: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        parse_faults(document, "f")
    assert "\n" not in str(refused.value)


def test_the_clock_jumps_from_one_thing_to_the_next() -> None:
    agenda: Agenda[str] = Agenda(NOW)
    for seconds, thing in ((5, "c"), (1, "a"), (1, "b"), (99, "z")):
        agenda.enter(seconds, thing)
    seen = []
    for thing in agenda.until(later(10)):
        seen.append((thing, agenda.now - NOW))
        if thing == "a":
            agenda.enter(0.5, "a2")
    assert [name for name, _ in seen] == ["a", "b", "a2", "c"]
    assert seen[2][1] == timedelta(seconds=1.5)
    assert (agenda.now, agenda.next_at) == (later(10), later(99))


def test_a_virtual_node_never_tries_again_what_it_has_sent_back() -> None:
    good = DesiredDeployment("shelf", "m", 1, BEFORE, ())
    tried = DesiredDeployment("shelf", "m", 2, AFTER, (), trial=Trial("shelf-1", 3))
    virtual = VirtualNode(node(1), Random(1), Faults(failure_rate=1.0), good, good)
    ((_, first),) = virtual.adopt(tried, digest_of(b"1"))
    assert first == "serve"
    assert [what for _, what in virtual.serve(NOW)] == ["tell", "settle"]
    virtual.settle()
    assert (virtual.serving, virtual.trial, virtual.reason) == (
        good,
        "returned",
        "the worker died of it 2 times (at most 1)",
    )
    assert list(virtual.adopt(tried, digest_of(b"2"))) == [(0.0, "tell")]
    said = virtual.said(later(1), measures=False)
    assert (said.phase, said.serving_version, said.trial and said.trial.state) == ("failed", 1, "returned")
    again = msgspec.structs.replace(tried, trial=Trial("shelf-1", 4))
    assert [what for _, what in virtual.adopt(again, digest_of(b"3"))] == ["serve"]


def test_a_virtual_node_sends_a_version_back_by_the_agents_own_rules() -> None:
    good = DesiredDeployment("shelf", "m", 1, BEFORE, ())
    tried = DesiredDeployment("shelf", "m", 2, AFTER, (), trial=Trial("shelf-1", 0))
    slow = VirtualNode(node(1), Random(1), Faults(), good, good, new_latency_ms=200.0)
    wrong = VirtualNode(node(2), Random(1), Faults(new_error_rate=0.7), good, good)
    fine = VirtualNode(node(3), Random(1), Faults(), good, good)
    for virtual in (slow, wrong, fine):
        list(virtual.adopt(tried, digest_of(b"1")))
        list(virtual.serve(NOW))
        list(virtual.settle())
    assert (slow.trial, wrong.trial, fine.trial) == ("returned", "returned", "passed")
    assert "where the version before took" in slow.reason
    assert "got no answer" in wrong.reason


def test_what_does_not_hold_is_said() -> None:
    watch, running = Watch(), a_rollout(spec=a_spec(max_parallel="1", canary="1"))
    watch.see(running, {(0, Stage.ORDERED): 2, (1, Stage.ORDERED): 1, (1, Stage.WAITING): 5}, NOW)
    assert watch.complaints == ["3 in flight, 1 may", "1 of a later wave than 0 have started"]
    watch.see(a_rollout(State.FAILED, running.spec), {(0, Stage.ORDERED): 1}, later(1))
    watch.see(a_rollout(State.FAILED, running.spec), {(0, Stage.ORDERED): 4}, later(2))
    assert "a node was ordered after the stop" in watch.complaints
    assert watch.started([(later(9), node(i)) for i in range(7)]) == 7
    assert watch.complaints[-1] == "7 started after a stop with 3 in flight"
    watch.see(a_rollout(State.COMPLETED, running.spec), {}, later(3))
    watch.see(a_rollout(State.RUNNING, running.spec), {}, later(4))
    assert watch.complaints[-2:] == ["what was completed became running", "running follows completed"]


def test_complaints_are_not_without_end_and_a_resume_ends_the_stop() -> None:
    watch, spec = Watch(), a_spec(max_parallel="1")
    for second in range(50):
        watch.see(a_rollout(spec=spec), {(0, Stage.ORDERED): 2}, later(second))
    assert len(watch.complaints) == 20
    stops = []
    for second, state in enumerate((State.PAUSED, State.RUNNING), 60):
        watch.see(a_rollout(state, spec), {}, later(second))
        stops.append(watch.stop is not None)
    assert stops == [True, False]
    assert watch.started([(later(62), node(1))]) == 0
