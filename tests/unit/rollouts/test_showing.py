"""What people see of a rollout, and the numbers that they add to it."""

import pytest

from coordinator.errors import BadInput, Conflict
from coordinator.fleet.records import Node
from coordinator.rollouts.applying import default_strategy, given_up, strategy_text
from coordinator.rollouts.gates import Outcome
from coordinator.rollouts.measuring import measured
from coordinator.rollouts.records import Event, Measure
from coordinator.rollouts.showing import first_members, named, waves_of
from coordinator.rollouts.states import Stage, State
from protos.deployment import Deployment
from protos.reported import Facts
from tests.unit.rollouts.examples import NOW, a_member, a_rollout, a_spec, a_view, evidence, node, on_trial, views_of

GATED = a_spec(canary="1", waves=("50%", "100%"), gates=("p95_ms<=50",))


def test_each_wave_shows_its_stages_and_what_its_gates_say_now() -> None:
    members = (a_member(1, Stage.HEALTHY), a_member(2, Stage.ORDERED, wave=1), a_member(3, wave=1))
    views = views_of(on_trial(1, "passed", evidence=(evidence(),)), a_view(2), a_view(3))
    canary, second, third = waves_of(a_rollout(spec=GATED), members, views)
    assert (canary.nodes, canary.stages) == (1, {Stage.HEALTHY: 1})
    assert [verdict.outcome for verdict in canary.verdicts] == [Outcome.PASSED]
    assert second.stages == {Stage.ORDERED: 1, Stage.WAITING: 1}
    assert [verdict.outcome for verdict in second.verdicts] == [Outcome.WAITING]
    assert (third.nodes, third.verdicts) == (0, ())


@pytest.mark.parametrize("state", [State.COMPLETED, State.ABORTED])
def test_gates_of_what_is_over_are_in_its_events_alone(state: State) -> None:
    (wave, *_) = waves_of(a_rollout(state, spec=GATED), (a_member(1, Stage.HEALTHY),), views_of(a_view(1)))
    assert wave.verdicts == ()


def test_whoever_has_trouble_comes_first() -> None:
    stages = (Stage.HEALTHY, Stage.WAITING, Stage.FAILED, Stage.ORDERED)
    members = [a_member(number, stage) for number, stage in enumerate(stages)]
    assert [one.stage for one in first_members(members, 2)] == [Stage.FAILED, Stage.ORDERED]
    assert len(first_members(members, 0)) == 4


def test_events_call_a_node_by_its_name() -> None:
    known = {node(1): Node(node(1), "store-1", "cam-1", {}, Facts(), NOW)}
    event = Event(NOW, "member", f"{node(1)} failed: why", {"node": node(1)})
    assert named(event, known).text == "store-1/cam-1 failed: why"
    assert named(event, {}) == event
    assert named(Event(NOW, "state", "running"), known).text == "running"


def test_a_measure_counts_for_the_gate_that_asks_for_it() -> None:
    rollout = a_rollout(spec=a_spec(gates=("sales>=10",)))
    decision = measured(rollout, "sales", Measure(12.0, 3), "operator:bob", NOW)
    assert decision.rollout.measures == {"sales": Measure(12.0, 3)}
    assert decision.events[0].text == "operator:bob: sales is 12 (3 samples)"


def test_accuracy_may_be_measured_where_the_labels_are() -> None:
    rollout = a_rollout(spec=a_spec(gates=("accuracy>=0.9",)))
    assert measured(rollout, "accuracy", Measure(0.95, 200), "bob", NOW).rollout.measures["accuracy"].value == 0.95


@pytest.mark.parametrize(
    ("name", "measure", "complaint"),
    [
        ("p95_ms", Measure(1.0, 1), "'p95_ms' is what nodes measure themselves"),
        ("visits", Measure(1.0, 1), "asks for 'visits'; of outside: sales"),
        ("sales", Measure(float("nan"), 1), "give a finite number"),
        ("sales", Measure(1.0, 0), "of at least 1 sample"),
    ],
)
def test_a_measure_that_decides_nothing_is_refused(name: str, measure: Measure, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        measured(a_rollout(spec=a_spec(gates=("sales>=10",))), name, measure, "bob", NOW)


def test_nothing_is_measured_of_what_is_over() -> None:
    with pytest.raises(Conflict, match="shelf-1 is completed"):
        measured(a_rollout(State.COMPLETED), "sales", Measure(1.0, 1), "bob", NOW)


def test_the_default_strategy_is_said_in_one_line() -> None:
    spec = default_strategy(Deployment("shelf", "", "m@2"))
    assert strategy_text(spec) == (
        "canary 1, then 25%, 100%; 10% at once; each healthy for 10s; goes on by itself; goes back by itself"
    )
    careful = a_spec(auto_promote=False, waves=("100%",), max_parallel="5")
    assert strategy_text(careful) == (
        "100%; 5 at once; each healthy for 10s; each wave waits for promote; a failure waits for a person"
    )


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.PAUSED, State.REVERTING, State.FAILED])
def test_a_rollout_that_is_given_up_ends_where_it_is(state: State) -> None:
    decision = given_up(a_rollout(state), "admin:alice", NOW)
    assert decision.rollout.state is State.ABORTED
    assert decision.rollout.reason == "admin:alice changed the deployment with --now"
    assert decision.members == ()
