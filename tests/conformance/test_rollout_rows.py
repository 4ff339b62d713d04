"""Rollouts, members, events and leases in every database that control data may be kept in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from coordinator.db.control import ControlStore
from coordinator.db.tables import nodes
from coordinator.db.upsert import upsert_all
from coordinator.fleet.records import Node
from coordinator.rollouts.records import Event, Measure, Member, Rollout
from coordinator.rollouts.spec import RolloutSpec, Window
from coordinator.rollouts.states import Stage, State
from coordinator.rollouts.store import Lease
from protos.deployment import Deployment, Pipeline
from protos.digest import digest_of
from protos.identity import NodeId
from protos.reported import Facts
from tests.conformance.test_database import a_version

NOW = datetime(2026, 5, 1, 10, 0, 0, 123456, UTC)
BEFORE = Deployment("shelf", "", "mobilenet@1", (Pipeline("shelf", "shelf"),))
AFTER = Deployment("shelf", "", "mobilenet@2", (Pipeline("shelf", "shelf"),))


def a_rollout(number: int = 1, state: State = State.RUNNING, after_s: int = 0, deployment: str = "shelf") -> Rollout:
    """A rollout in which nothing is left at its default."""
    return Rollout(
        id=f"{deployment}-{number}",
        spec=RolloutSpec(deployment, "mobilenet@2", windows=(Window("22:00", "05:00", ("sat",)),), per_group={"a": 1}),
        before=BEFORE,
        after=AFTER,
        before_digest=digest_of(b"1"),
        after_digest=digest_of(b"2"),
        state=state,
        created_at=NOW + timedelta(seconds=after_s),
        created_by="operator:bob",
        since=NOW,
        wave=2,
        wave_since=NOW,
        progress_at=NOW,
        reason="why",
        resumes=State.RUNNING,
        approved_by="admin:alice",
        promoted=1,
        attempt=3,
        measures={"sales": Measure(0.5, 12)},
        fence=2**40,
    )


def node_id(number: int) -> NodeId:
    """Of the n-th node."""
    return NodeId(f"{number:032x}")


def with_nodes(store: ControlStore, count: int) -> None:
    """Register nodes."""
    row = {"site": "s", "labels": "{}", "facts": "{}", "registered_at": NOW, "presence": "unknown"}
    row |= {"connection": "", "reported": ""}
    with store.write() as tx:
        rows = [{"id": node_id(number), "name": f"cam-{number}", **row} for number in range(count)]
        upsert_all(tx._connection, nodes, rows)


def test_a_rollout_comes_back_as_it_was_stored(store: ControlStore) -> None:
    changed = replace(a_rollout(), state=State.PAUSED, reason="a person")
    with store.write() as tx:
        tx.rollouts.put(a_rollout())
        assert tx.rollouts.get("shelf-1") == a_rollout()
        tx.rollouts.put(changed)
    with store.read() as tx:
        assert tx.rollouts.all() == (changed,)
        assert tx.rollouts.get("shelf-2") is None


def test_ended_rollouts_are_not_active_and_the_newest_of_a_deployment_is_its_last(store: ControlStore) -> None:
    first, second = a_rollout(9, State.COMPLETED), a_rollout(10, after_s=1)
    other = a_rollout(1, State.DRAFT, after_s=2, deployment="door-2")
    with store.write() as tx:
        for rollout in (second, other, first):
            tx.rollouts.put(rollout)
    with store.read() as tx:
        assert tx.rollouts.active() == (second, other)
        assert tx.rollouts.all() == (other, second, first)
        assert tx.rollouts.newest_of("shelf") == second
        assert tx.rollouts.newest_of("nothing") is None


def test_members_come_back_by_wave_and_a_members_newest_stage_counts(store: ControlStore) -> None:
    with_nodes(store, 3)
    canary, last = Member(node_id(2), 0), Member(node_id(0), 1, Stage.WAITING, None, "waits", 0)
    healthy = Member(node_id(2), 0, Stage.HEALTHY, NOW, "", 1)
    with store.write() as tx:
        tx.rollouts.put(a_rollout())
        tx.rollouts.put_members("shelf-1", ())
        tx.rollouts.put_members("shelf-1", (last, canary))
        tx.rollouts.put_members("shelf-1", (healthy,))
    with store.read() as tx:
        assert tx.rollouts.members("shelf-1") == (healthy, last)
        assert tx.rollouts.members("shelf-2") == ()


def test_a_nodes_memberships_are_those_of_rollouts_under_way(store: ControlStore) -> None:
    with_nodes(store, 2)
    member = Member(node_id(0), 0, Stage.ORDERED, NOW)
    with store.write() as tx:
        for rollout in (a_rollout(1, State.COMPLETED), a_rollout(2), a_rollout(1, deployment="door")):
            tx.rollouts.put(rollout)
            tx.rollouts.put_members(rollout.id, (member,))
    with store.read() as tx:
        known = tx.rollouts.memberships((node_id(0), node_id(1)))
        assert known == {node_id(0): (("door-1", member), ("shelf-2", member))}
        (overrides,) = tx.overrides.of((node_id(0),)).values()
    assert set(overrides) == {"door", "shelf"}
    assert overrides["shelf"].digest == digest_of(b"2")


def test_a_node_that_is_deleted_is_a_member_no_more(store: ControlStore) -> None:
    with store.write() as tx:
        tx.nodes.put(Node(node_id(0), "s", "n", {}, Facts(), NOW))
        tx.rollouts.put(a_rollout())
        tx.rollouts.put_members("shelf-1", (Member(node_id(0), 0),))
        tx.nodes.remove(node_id(0))
        assert tx.rollouts.members("shelf-1") == ()


def test_events_keep_their_order_and_their_numbers(store: ControlStore) -> None:
    events = tuple(
        Event(NOW, "gate", f"p95 {value}", {"value": value, "slices": ["a", "b"], "passed": None}) for value in (2.5, 1)
    )
    with store.write() as tx:
        tx.rollouts.put(a_rollout())
        tx.rollouts.add_events("shelf-1", events)
        tx.rollouts.add_events("shelf-1", events[:1])
        tx.rollouts.add_events("shelf-1", ())
    with store.read() as tx:
        assert tx.rollouts.events("shelf-1") == (*events, events[0])


def test_a_lease_has_one_holder(store: ControlStore) -> None:
    with store.write() as tx:
        assert tx.leases.get("rollouts") is None
        tx.leases.put("rollouts", Lease("a", 1, NOW))
        tx.leases.put("rollouts", Lease("b", 2, NOW + timedelta(seconds=1)))
    with store.read() as tx:
        assert tx.leases.get("rollouts") == Lease("b", 2, NOW + timedelta(seconds=1))


def test_a_version_that_a_rollout_moves_to_is_in_use(store: ControlStore) -> None:
    with store.write() as tx:
        tx.versions.take_number("mobilenet")
        tx.versions.add(a_version())
        tx.rollouts.put(a_rollout())
        assert tx.versions.used_by("mobilenet", 2) == ("shelf",)
        tx.rollouts.put(a_rollout(state=State.ABORTED))
        assert tx.versions.used_by("mobilenet", 2) == ()


def test_ten_thousand_members_are_stored_and_loaded_in_two_statements(engine: sa.Engine, store: ControlStore) -> None:
    with_nodes(store, 10_000)
    members = tuple(Member(node_id(number), number % 3, Stage.ORDERED, NOW) for number in range(10_000))
    statements: list[str] = []
    with store.write() as tx:
        tx.rollouts.put(a_rollout())
        sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
        tx.rollouts.put_members("shelf-1", members)
        assert set(tx.rollouts.members("shelf-1")) == set(members)
    assert [statement.split()[0] for statement in statements] == ["INSERT", "SELECT"]
