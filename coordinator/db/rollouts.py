"""Rows of rollouts, their members and events, of what they make of deployments, and of leases."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from coordinator.db.portions import portions
from coordinator.db.tables import leases, rollout_events, rollout_members, rollouts
from coordinator.db.upsert import upsert, upsert_all
from coordinator.fleet.records import Override
from coordinator.rollouts.overriding import overrides_of
from coordinator.rollouts.records import Event, Member, Rollout
from coordinator.rollouts.states import ENDED, Stage
from coordinator.rollouts.store import Lease
from protos.deployment import model_version
from protos.identity import NodeId


class RolloutRows:
    """`rollouts.store.Rollouts` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[Rollout, ...]:
        """All, the newest first."""
        query = sa.select(rollouts.c.body).order_by(rollouts.c.created_at.desc(), rollouts.c.number.desc())
        return self._rollouts(query)

    def active(self) -> tuple[Rollout, ...]:
        """Those that have not ended, the oldest first."""
        query = sa.select(rollouts.c.body).where(rollouts.c.ended.is_(False))
        return self._rollouts(query.order_by(rollouts.c.created_at, rollouts.c.id))

    def get(self, rollout: str) -> Rollout | None:
        """One by its id."""
        found = self._rollouts(sa.select(rollouts.c.body).where(rollouts.c.id == rollout))
        return found[0] if found else None

    def newest_of(self, deployment: str) -> Rollout | None:
        """The newest of a deployment."""
        query = sa.select(rollouts.c.body).where(rollouts.c.deployment == deployment)
        found = self._rollouts(query.order_by(rollouts.c.number.desc()).limit(1))
        return found[0] if found else None

    def put(self, rollout: Rollout) -> None:
        """Store it, new or known."""
        model, version = model_version(rollout.after.model)
        values = {
            "id": rollout.id,
            "deployment": rollout.spec.deployment,
            "number": int(rollout.id.rpartition("-")[2]),
            "model": model,
            "version": version,
            "state": str(rollout.state),
            "ended": rollout.state in ENDED,
            "created_at": rollout.created_at,
            "body": msgspec.json.encode(rollout).decode(),
        }
        upsert(self._connection, rollouts, values)

    def members(self, rollout: str) -> tuple[Member, ...]:
        """Its members, by wave and node."""
        query = sa.select(*_MEMBER).where(rollout_members.c.rollout == rollout)
        found = self._connection.execute(query.order_by(rollout_members.c.wave, rollout_members.c.node))
        return tuple([Member(node, wave, _STAGES[stage], *rest) for node, wave, stage, *rest in found.all()])

    def tally(self, rollout: str) -> Mapping[tuple[int, Stage], int]:
        """How many members are in which wave and stage: much less to read than the members."""
        columns = rollout_members.c.wave, rollout_members.c.stage
        query = sa.select(*columns, sa.func.count()).where(rollout_members.c.rollout == rollout).group_by(*columns)
        return {(int(wave), Stage(stage)): int(count) for wave, stage, count in self._connection.execute(query)}

    def memberships(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, tuple[tuple[str, Member], ...]]:
        """The members that these nodes are in rollouts that have not ended, with the rollout's id."""
        found: dict[NodeId, tuple[tuple[str, Member], ...]] = {}
        same = rollouts.c.id == rollout_members.c.rollout
        query = sa.select(*_MEMBER, rollout_members.c.rollout).join_from(rollout_members, rollouts, same)
        query = query.where(rollouts.c.ended.is_(False)).order_by(rollout_members.c.rollout)
        for some in portions(nodes):
            for row in self._connection.execute(query.where(rollout_members.c.node.in_(some))):
                member = _member(row)
                found[member.node] = (*found.get(member.node, ()), (row.rollout, member))
        return found

    def put_members(self, rollout: str, members: Iterable[Member]) -> None:
        """Store members, new or known."""
        rows = [
            {
                "rollout": rollout,
                "node": member.node,
                "wave": member.wave,
                "stage": str(member.stage),
                "since": member.since,
                "reason": member.reason,
                "attempt": member.attempt,
            }
            for member in members
        ]
        upsert_all(self._connection, rollout_members, rows)

    def events(self, rollout: str) -> tuple[Event, ...]:
        """What was decided, the oldest first."""
        query = sa.select(rollout_events).where(rollout_events.c.rollout == rollout).order_by(rollout_events.c.seq)
        found = self._connection.execute(query)
        return tuple(Event(row.at, row.kind, row.text, msgspec.json.decode(row.detail)) for row in found)

    def add_events(self, rollout: str, events: Iterable[Event]) -> None:
        """Remember what was decided."""
        query = sa.select(sa.func.max(rollout_events.c.seq)).where(rollout_events.c.rollout == rollout)
        last = int(self._connection.execute(query).scalar() or 0)
        rows = [
            {
                "rollout": rollout,
                "seq": seq,
                "at": event.at,
                "kind": event.kind,
                "text": event.text,
                "detail": msgspec.json.encode(event.detail).decode(),
            }
            for seq, event in enumerate(events, last + 1)
        ]
        upsert_all(self._connection, rollout_events, rows)

    def _rollouts(self, query: sa.Select[Any]) -> tuple[Rollout, ...]:
        return tuple(msgspec.json.decode(body, type=Rollout) for body in self._connection.execute(query).scalars())


class OverrideRows:
    """`fleet.store.Overrides` on a connection: what the rollouts under way make of deployments."""

    def __init__(self, connection: sa.Connection) -> None:
        self._rollouts = RolloutRows(connection)

    def of(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, Mapping[str, Override]]:
        """Of these nodes, by deployment."""
        active = {rollout.id: rollout for rollout in self._rollouts.active()}
        if not active:
            return {}
        found = self._rollouts.memberships(nodes)
        return {node: overrides_of((active[rollout], member) for rollout, member in found[node]) for node in found}


class LeaseRows:
    """`rollouts.store.Leases` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, name: str) -> Lease | None:
        """Who holds it, or held it last."""
        row = self._connection.execute(sa.select(leases).where(leases.c.name == name)).one_or_none()
        return None if row is None else Lease(row.holder, row.fence, row.until)

    def put(self, name: str, lease: Lease) -> None:
        """Who holds it now."""
        values = {"name": name, "holder": lease.holder, "fence": lease.fence, "until": lease.until}
        upsert(self._connection, leases, values)


_MEMBER = (
    rollout_members.c.node,
    rollout_members.c.wave,
    rollout_members.c.stage,
    rollout_members.c.since,
    rollout_members.c.reason,
    rollout_members.c.attempt,
)


_STAGES = {str(stage): stage for stage in Stage}
"""A look-up is several times as fast as `Stage(…)`: all members are read in every round."""


def _member(row: sa.Row[*tuple[Any, ...]]) -> Member:
    return Member(row.node, row.wave, _STAGES[row.stage], row.since, row.reason, row.attempt)
