"""A rollout of a few nodes that do anything at any time, persons who order anything: what always holds."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from coordinator.errors import Conflict
from coordinator.rollouts.advance import advance
from coordinator.rollouts.limits import cap_of
from coordinator.rollouts.orders import order
from coordinator.rollouts.overriding import override_of
from coordinator.rollouts.records import Decision, Member, Rollout, View
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.states import ENDED, FOLLOWS, STAGES, STARTING, Order, Stage, State
from protos.identity import NodeId
from tests import sizes
from tests.unit.rollouts.examples import (
    AFTER,
    BEFORE,
    NOW,
    a_rollout,
    a_shadow,
    a_trial,
    a_view,
    by_node,
    evidence,
    node,
)

MOST_NODES = 9

specs = st.builds(
    RolloutSpec,
    deployment=st.just("shelf"),
    to=st.just("m@2"),
    canary=st.sampled_from(("", "1", "20%")),
    waves=st.sampled_from((("100%",), ("50%", "100%"), ("3", "60%", "100%"))),
    max_parallel=st.sampled_from(("1", "2", "30%")),
    max_failures=st.sampled_from(("0", "2", "60%")),
    shadow_s=st.sampled_from((0.0, 0.0, 60.0)),
    gates=st.sampled_from(((), ("error_rate<=0.1",), ("p95_ms<=50", "returned<=0.5"), ("agreement>=0.95",))),
    auto_promote=st.booleans(),
    auto_revert=st.booleans(),
    approval=st.sampled_from((False, False, False, True)),
    per_site=st.sampled_from((0, 1)),
)


class Fleet(RuleBasedStateMachine):
    """`seen` is what nodes said last: reports come late, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.rollout = a_rollout(State.DRAFT)
        self.members: dict[NodeId, Member] = {}
        self.seen: dict[NodeId, View] = {}
        self.started: set[tuple[NodeId, int]] = set()
        """who has been given the new version, at which attempt"""
        self.stopped_with: frozenset[tuple[NodeId, int]] | None = None

    @initialize(spec=specs, count=st.integers(0, MOST_NODES))
    def create(self, spec: RolloutSpec, count: int) -> None:
        """A rollout of so many nodes begins."""
        self.rollout = a_rollout(State.DRAFT, spec)
        self.seen = {node(i): a_view(i, site=f"store-{i % 2}") for i in range(count)}
        self._order(Order.START)
        self._advance()

    @rule(seconds=st.sampled_from((1, 1, 1, 20, 70, 301, 4000)))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
        self._advance()

    @rule(
        i=st.integers(0, MOST_NODES), state=st.sampled_from(("on", "passed", "returned")), ms=st.sampled_from((9, 90))
    )
    def report(self, i: int, state: str, ms: float) -> None:
        """A node says how it does with what its document names now."""
        member, view = self.members.get(node(i)), self.seen.get(node(i))
        if member is None or view is None or not view.online:
            return
        override, counts = override_of(self.rollout, member), (evidence(ms=ms, compared=1000, agreed=int(1000 - ms)),)
        said: dict[str, Any] = {"digest": BEFORE}
        if override is not None and override.trial is not None:
            said = {"digest": AFTER, "trial": a_trial(state, override.trial.attempt, evidence=counts)}
        elif override is not None and override.shadow is not None:
            beside = "failed" if state == "returned" else "on"
            said["shadow"] = a_shadow(beside, override.shadow.attempt, evidence=counts)
        self.seen[node(i)] = a_view(i, site=view.site, heard_at=self.now, **said)
        self._advance()

    @rule(i=st.integers(0, MOST_NODES), phase=st.sampled_from(("failed", "pending")))
    def break_down(self, i: int, phase: str) -> None:
        """A node cannot take up its document."""
        if node(i) in self.seen:
            self.seen[node(i)] = a_view(i, heard_at=self.now, digest=AFTER, phase=phase)
            self._advance()

    @rule(i=st.integers(0, MOST_NODES), online=st.booleans())
    def connect(self, i: int, online: bool) -> None:
        """A node comes or goes; a new one joins."""
        known = self.seen.get(node(i), a_view(i))
        self.seen[node(i)] = a_view(
            i, site=known.site, online=online, heard_at=known.heard_at, digest=known.digest, trial=known.trial
        )
        self._advance()

    @rule()
    def pass_all(self) -> None:
        """Every node says that it has passed what it was given."""
        for i in range(MOST_NODES):
            self.report(i, "passed", 9)

    @rule(i=st.integers(0, MOST_NODES))
    def leave(self, i: int) -> None:
        """The deployment does not select the node any more."""
        self.seen.pop(node(i), None)
        self._advance()

    @rule(what=st.sampled_from((*Order, *[Order.PAUSE, Order.RESUME, Order.PROMOTE] * 3)))
    def order(self, what: Order) -> None:
        """A person orders something, possible or not."""
        self._order(what)
        self._advance()

    @invariant()
    def it_is_settled(self) -> None:
        """Nothing more follows of the same facts: neither for this process nor for one that has just read the rows."""
        again = advance(self.rollout, self.members, self.seen, {}, self.now)
        assert (again.rollout, again.members, again.events) == (self.rollout, (), ())
        stored = msgspec.json.decode(msgspec.json.encode(self.rollout), type=Rollout)
        assert advance(stored, self.members, self.seen, {}, self.now) == again

    @invariant()
    def the_cap_holds(self) -> None:
        """Never are more in flight than may be."""
        in_flight = [member for member in self.members.values() if member.stage is Stage.ORDERED]
        assert len(in_flight) <= cap_of(self.rollout.spec, len(self.members))

    @invariant()
    def waves_begin_in_order(self) -> None:
        """Nobody has the version before its wave."""
        early = [member for member in self.members.values() if member.wave > self.rollout.wave]
        assert all(override_of(self.rollout, member) is None for member in early)

    @invariant()
    def nobody_starts_after_a_stop(self) -> None:
        """While nobody may start, nobody new is given the version."""
        if self.stopped_with is not None:
            assert self.started == self.stopped_with

    def _order(self, what: Order) -> None:
        try:
            self._keep(order(self.rollout, self.members, what, "anna", self.now))
        except Conflict:
            return

    def _advance(self) -> None:
        self._keep(advance(self.rollout, self.members, self.seen, {}, self.now))

    def _keep(self, decision: Decision) -> None:
        _check(self.rollout, self.members, decision, self.now)
        self.rollout, self.members = decision.rollout, {**self.members, **by_node(decision.members)}
        for member in self.members.values():
            if (override := override_of(self.rollout, member)) is not None and override.trial is not None:
                self.started.add((member.node, member.attempt))
        was_stopped, stopped = self.stopped_with is not None, self.rollout.state not in STARTING
        self.stopped_with = (
            self.stopped_with if stopped and was_stopped else frozenset(self.started) if stopped else None
        )


def _check(rollout: Rollout, members: dict[NodeId, Member], decision: Decision, now: datetime) -> None:
    """What holds from one moment to the next."""
    states = [State(str(event.detail["state"])) for event in decision.events if event.kind == "state"]
    for state, following in pairwise([rollout.state, *states]):
        assert following in FOLLOWS[state]
    assert (states or [rollout.state])[-1] is decision.rollout.state
    assert rollout.state not in ENDED or decision == Decision(rollout)
    assert decision.wake_at is None or decision.wake_at > now
    for member in decision.members:
        before = members.get(member.node, member)
        assert member.wave == before.wave, "a node's wave never changes"
        assert member.attempt >= before.attempt
        assert _leads_to(before.stage, member.stage), (before, member)


def _leads_to(stage: Stage, other: Stage) -> bool:
    """In one step, or in two of one decision."""
    return stage is other or other in STAGES[stage] or any(other in STAGES[between] for between in STAGES[stage])


Fleet.TestCase.settings = settings(max_examples=sizes.times(150), stateful_step_count=40, deadline=None)
TestWhateverHappens = pytest.mark.soak(Fleet.TestCase)
