"""Members' stages become documents: a pure function of a rollout and a member."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.fleet.desired import compile_node
from coordinator.fleet.records import Applied, Node
from coordinator.rollouts.overriding import LEAST_REPORT_S, MOST_REPORT_S, override_of, overrides_of, report_s
from coordinator.rollouts.records import Member, Rollout
from coordinator.rollouts.states import ENDED, HAS_NEW, Stage, State
from protos.desired import DesiredDeployment
from protos.reported import Facts
from tests.unit.rollouts.examples import AFTER, BEFORE, NOW, a_member, a_rollout, a_spec, node

NODE = Node(node(1), "store-1", "cam-1", {}, Facts(), NOW)
NOT_BEGUN = {State.DRAFT, State.AWAITING_APPROVAL, State.QUEUED}


def compiled(rollout: Rollout, member: Member) -> DesiredDeployment:
    """What the member's node should run of the deployment that the rollout moves."""
    applied = Applied(rollout.before, rollout.before_digest, NOW, NOW)
    (wanted,) = compile_node(NODE, [applied], overrides_of([(rollout, member)])).deployments
    return wanted


@given(st.sampled_from(State), st.sampled_from(Stage), st.integers(0, 5))
def test_a_document_names_the_new_version_exactly_while_the_member_has_it(
    state: State, stage: Stage, attempt: int
) -> None:
    rollout, member = a_rollout(state), a_member(stage=stage, attempt=attempt)
    wanted = compiled(rollout, member)
    has_new = stage in HAS_NEW and state not in ENDED | NOT_BEGUN
    assert (wanted.version, wanted.digest) == ((2, AFTER) if has_new else (1, BEFORE))
    assert (wanted.trial is not None) == has_new
    shadows = stage is Stage.SHADOWING and state not in ENDED | NOT_BEGUN
    assert (wanted.shadow is not None) == shadows
    for said in (wanted.trial, wanted.shadow):
        assert said is None or (said.rollout, said.attempt) == ("shelf-1", attempt)


def test_a_node_on_trial_is_told_what_to_watch() -> None:
    spec = a_spec(min_healthy_s=60.0, max_error_rate=0.1, max_p95_ms=50.0, max_memory_mb=200.0, max_restarts=3)
    trial = compiled(a_rollout(spec=spec), a_member(stage=Stage.ORDERED)).trial
    assert trial is not None
    assert (trial.healthy_s, trial.report_s) == (60.0, 15.0)
    assert (trial.max_error_rate, trial.max_p95_ms, trial.max_memory_mb, trial.max_restarts) == (0.1, 50.0, 200.0, 3)


def test_a_shadow_names_the_candidate_its_share_and_its_budget() -> None:
    rollout = a_rollout(State.SHADOWING, spec=a_spec(shadow_s=600.0, shadow_share=0.25, shadow_cpu=0.1))
    shadow = compiled(rollout, a_member(stage=Stage.SHADOWING)).shadow
    assert shadow is not None
    assert (shadow.model, shadow.version, shadow.digest) == ("m", 2, AFTER)
    assert (shadow.share, shadow.cpu, shadow.report_s) == (0.25, 0.1, MOST_REPORT_S)


def test_rollouts_of_other_deployments_leave_this_one_alone() -> None:
    other = a_rollout(spec=a_spec(deployment="door"))
    assert set(overrides_of([(other, a_member(stage=Stage.ORDERED))])) == {"door"}
    assert override_of(other, a_member()) is None


@pytest.mark.parametrize(("lasts", "every"), [(0.0, LEAST_REPORT_S), (40.0, 10.0), (86400.0, MOST_REPORT_S)])
def test_nodes_tell_a_few_times_of_whatever_lasts(lasts: float, every: float) -> None:
    assert report_s(lasts) == every
