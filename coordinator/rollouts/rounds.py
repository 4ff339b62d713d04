"""One round of whoever acts on rollouts: all that are under way are advanced, in one transaction under the lease.

Everything that a decision needs is read in the transaction that stores it, and writers follow one another: what a
person orders meanwhile comes before or after, never in between.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.fleet.desired import selected
from coordinator.fleet.records import Applied
from coordinator.rollouts.advance import advance
from coordinator.rollouts.enacting import Store, Transaction, enact, fenced, record
from coordinator.rollouts.labelled import Truths, no_truths, truths_of
from coordinator.rollouts.lease import NAME, given_back, is_worth_writing, taken
from coordinator.rollouts.queueing import held_by_others
from coordinator.rollouts.records import Member, Rollout, Truth
from coordinator.rollouts.store import Lease
from coordinator.rollouts.viewing import SeenNodes, SeenViews
from protos.identity import NodeId
from protos.topics import Topics


@dataclass(frozen=True)
class Round:
    """What a round brought: nodes whose documents changed; when time alone will change something, None: never; and
    whether anything is under way that news may change.
    """

    nodes: tuple[NodeId, ...] = ()
    wake_at: datetime | None = None
    watches: bool = False


class Rounds:
    """One at a time, on any thread.

    Args:
        store: where rollouts are kept.
        topics: the broker's.
        now: the clock.
        holder: who this is, among all that share the store.
        truths: the labelled answers of a model's version since a time.
    """

    def __init__(
        self,
        store: Store,
        topics: Topics,
        now: Callable[[], datetime],
        holder: str,
        truths: Truths = no_truths,
    ) -> None:
        self._truths = truths
        self._store = store
        self._topics = topics
        self._now = now
        self._holder = holder
        self._seen = SeenNodes()
        self._views: dict[str, SeenViews] = {}

    def once(self) -> Round:
        """Advance all rollouts by what is known now, where this one holds the lease or can take it."""
        with self._store.read() as tx:
            active = tx.rollouts.active()
        if not active:
            return Round()
        truths = {rollout.id: truths_of(rollout, self._truths) for rollout in active}
        with self._store.write() as tx:
            now, held = self._now(), tx.leases.get(NAME)
            lease = taken(held, self._holder, now)
            if lease is None:
                return Round(wake_at=held.until if held else None)
            if is_worth_writing(held, lease):
                tx.leases.put(NAME, lease)
            return self._advanced(tx, lease, now, truths)

    def give_back(self) -> None:
        """Act no more: whoever is next need not wait for the lease's end."""
        with self._store.write() as tx:
            held = tx.leases.get(NAME)
            if held is not None and held.holder == self._holder:
                tx.leases.put(NAME, given_back(held, self._now()))

    def _advanced(self, tx: Transaction, lease: Lease, now: datetime, truths: Mapping[str, tuple[Truth, ...]]) -> Round:
        nodes = self._seen.read(tx)
        running = _Running(tx)
        known = self._views
        self._views = {one.id: known.get(one.id) or SeenViews(one.spec.deployment) for one in running.rollouts}
        documents: dict[NodeId, None] = {}
        wakes: list[datetime] = []
        for rollout in running.rollouts:
            members = running.members[rollout.id]
            matched = selected(_as_applied(rollout), nodes.values())
            views = self._views[rollout.id].of(matched, truths.get(rollout.id, ()))
            decision = advance(rollout, members, views, running.others(rollout), now)
            decision = replace(decision, rollout=_written(decision.rollout, rollout, lease.fence))
            issued = enact(tx, rollout, decision, nodes.values(), self._topics, now, members)
            documents.update(dict.fromkeys(issued))
            record(tx, rollout, decision, now)
            if decision.rollout.state is not rollout.state:
                wakes.append(now)  # another one may have waited for that
            if decision.wake_at is not None:
                wakes.append(decision.wake_at)
        return Round(tuple(documents), min(wakes, default=None), watches=bool(running.rollouts))


class _Running:
    """The rollouts under way with their members, and who has which nodes."""

    def __init__(self, tx: Transaction) -> None:
        self.rollouts = tx.rollouts.active()
        self.members: dict[str, Mapping[NodeId, Member]] = {
            rollout.id: {member.node: member for member in tx.rollouts.members(rollout.id)} for rollout in self.rollouts
        }

    def others(self, rollout: Rollout) -> Mapping[NodeId, str]:
        """The nodes that another one has, which goes before this one → its id."""
        return others_of(rollout, ((one, self.members[one.id].values()) for one in self.rollouts))


def others_of(rollout: Rollout, running: Iterable[tuple[Rollout, Iterable[Member]]]) -> dict[NodeId, str]:
    """The nodes that one of the rollouts under way has before this one → its id."""
    memberships: dict[NodeId, list[tuple[Rollout, Member]]] = {}
    for other, members in running:
        if other.id != rollout.id:
            for member in members:
                memberships.setdefault(member.node, []).append((other, member))
    return held_by_others(rollout, memberships)


def _as_applied(rollout: Rollout) -> Applied:
    """The deployment that the rollout moves: both versions of it select the same nodes."""
    return Applied(rollout.before, rollout.before_digest, rollout.created_at, rollout.created_at)


def _written(after: Rollout, before: Rollout, fence: int) -> Rollout:
    """The rollout as this holder writes it; one that stays as it is keeps the number of who wrote it."""
    return after if after == before else fenced(after, fence)
