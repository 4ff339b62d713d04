"""Puts a decision into the database, with all that follows from it, inside the caller's transaction."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from coordinator.audit.chain import Act
from coordinator.fleet.documents import changes, issue
from coordinator.fleet.records import Applied, Node
from coordinator.fleet.store import Releases
from coordinator.fleet.store import Transaction as FleetTransaction
from coordinator.registry.records import Version
from coordinator.rollouts.records import Decision, Member, Rollout
from coordinator.rollouts.states import ENDED, State
from coordinator.rollouts.store import Leases, Rollouts
from protos.identity import NodeId
from protos.topics import Topics

Members = Mapping[NodeId, Member]
NOBODY: Members = {}
CONTROLLER = "coordinator"
"""Who acts in the audit log, where no person does."""


class Versions(Releases, Protocol):
    """What rollouts need to know of model versions."""

    def get(self, model: str, version: int) -> Version | None:
        """One version."""


class Transaction(FleetTransaction, Protocol):
    """What rollouts see of a transaction."""

    @property
    def versions(self) -> Versions:
        """Model versions."""

    @property
    def rollouts(self) -> Rollouts:
        """Rollouts, members, events."""

    @property
    def leases(self) -> Leases:
        """Leases."""


def enact(
    tx: Transaction,
    before: Rollout,
    decision: Decision,
    nodes: Iterable[Node],
    topics: Topics,
    now: datetime,
    members: Members = NOBODY,
) -> tuple[NodeId, ...]:
    """Store what was decided, and issue the documents that change with it; whose documents those are.

    Args:
        tx: the transaction in which all of it was read.
        before: the rollout as it was.
        decision: what comes next.
        nodes: all nodes that are not revoked.
        topics: the broker's.
        now: the time.
        members: the members as they were.
    """
    rollout = decision.rollout
    if rollout != before:
        tx.rollouts.put(rollout)
    tx.rollouts.put_members(rollout.id, decision.members)
    tx.rollouts.add_events(rollout.id, decision.events)
    if rollout.state is State.COMPLETED and before.state is not State.COMPLETED:
        _apply(tx, rollout, now)
    concerned = {member.node for member in decision.members if _is_moved(members.get(member.node), member)}
    over = rollout.state in ENDED and before.state not in ENDED
    changing = tuple(node for node in nodes if over or node.id in concerned)
    return issue(tx, changes(tx, changing, tx.deployments.all(), now), topics)


def _is_moved(before: Member | None, member: Member) -> bool:
    """Whether more changed of a member than the reason for which it waits: documents know nothing of that."""
    return before is None or (before.stage, before.attempt) != (member.stage, member.attempt)


def record(tx: Transaction, before: Rollout, decision: Decision, now: datetime) -> None:
    """Put the states that a rollout came into into the audit log: what the coordinator did by itself."""
    for event in decision.events:
        if event.kind == "state":
            state = str(event.detail.get("state", decision.rollout.state)).replace(" ", "_")
            tx.audit.append(Act(CONTROLLER, f"rollout.{state}", before.id, {"why": event.text}), now)


def _apply(tx: Transaction, rollout: Rollout, now: datetime) -> None:
    """The deployment is from now on what the rollout has moved it to."""
    applied = tx.deployments.get(rollout.spec.deployment)
    created_at = now if applied is None else applied.created_at
    tx.deployments.put(Applied(rollout.after, rollout.after_digest, created_at, now))


def fenced(rollout: Rollout, fence: int) -> Rollout:
    """The rollout as the holder of the lease with this number writes it."""
    if fence < rollout.fence:
        raise AssertionError(f"rollout {rollout.id} was written under fence {rollout.fence}: {fence} is over")
    return replace(rollout, fence=fence)


class Store(Protocol):
    """Where rollouts are kept: in the fleet's transactions, one writer after the other."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes."""
