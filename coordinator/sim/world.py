"""What happens in the virtual fleet: what is published reaches nodes, what they say reaches the database.

Reports become rows as the coordinator makes them of messages, but those of one moment in one transaction.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from coordinator.db.control import ControlStore
from coordinator.fleet.desired import decode
from coordinator.fleet.presence import Connection, Presence
from coordinator.fleet.records import Node
from coordinator.rollouts.durations import seconds_of
from coordinator.sim.agenda import Agenda
from coordinator.sim.faults import Faults
from coordinator.sim.founding import Fleet
from coordinator.sim.node import Next, VirtualNode
from protos.identity import NodeId
from protos.reported import Reported

MESSAGE_S = (0.02, 0.5)
"""How long a message is under way."""
SAID_AGAIN_S = 30.0
MORE_S = (60.0, 120.0, 300.0, 900.0)
"""When a node tells again what it has measured, where gates ask."""
RETURNS = (0.5, 1.5)
"""Nodes that are away do not come back all at once: factors on how long they are."""

Happening = tuple[str, NodeId, float]
"""what, to which node; its turn, or how long it lasts"""


class World:
    """See the module.

    Args:
        store: the database that the fleet is in.
        fleet: all nodes.
        faults: what goes wrong.
        random: the source of chance.
        agenda: the clock.
        measures: whether nodes measure, because gates ask.
    """

    def __init__(
        self,
        store: ControlStore,
        fleet: Fleet,
        faults: Faults,
        random: Random,
        agenda: Agenda[Happening],
        *,
        measures: bool,
    ) -> None:
        self.nodes = fleet.nodes
        self.starts: list[tuple[datetime, NodeId]] = []
        """who began to serve the new version on trial, and when"""
        self.reports = 0
        """taken in"""
        self._store, self._faults, self._random, self._agenda = store, faults, random, agenda
        self._measures = measures
        self._rows, self._documents = fleet.rows, fleet.documents
        self._changed: dict[NodeId, None] = {}
        self._under_way: dict[NodeId, list[Reported]] = {}
        """reports, in their order"""
        self._arrives_at: dict[NodeId, datetime] = {}
        self._away: set[NodeId] = set()

    def trouble(self) -> None:
        """Enter what will go wrong by itself."""
        self._cut_some(0.0, self._faults.seconds("offline_for"), self._faults.offline)
        for one in self._faults.partitions:
            self._cut_some(seconds_of(one.at, "at"), seconds_of(one.lasts, "lasts"), one.share)

    def publish(self, nodes: Iterable[NodeId]) -> None:
        """Nodes hear of their newest documents; those that are away, when they are back."""
        some = tuple(nodes)
        if not some:
            return
        with self._store.read() as tx:
            self._documents.update(tx.documents.of(some))
        for node in some:
            if node not in self._away:
                self._agenda.enter(self._random.uniform(*MESSAGE_S), ("adopt", node, self.nodes[node].turn))

    def store(self) -> bool:
        """Put what has arrived into the database; whether there was anything."""
        if not self._changed:
            return False
        with self._store.write() as tx:
            tx.nodes.put_all([self._rows[node] for node in self._changed])
        self._changed.clear()
        return True

    def happen(self, happening: Happening) -> None:
        """Something happens to a node; what follows from an older document does not."""
        what, node, number = happening
        if what == "leave":
            self._leave(node, number)
        elif what == "return":
            self._return(node)
        elif what == "arrive":
            self._arrive(node)
        elif number == self.nodes[node].turn:
            self._do(self.nodes[node], what)

    def _do(self, node: VirtualNode, what: str) -> None:
        if what == "adopt":
            self._adopt(node)
        elif what == "serve":
            self._follow(node, node.serve(self._agenda.now))
            if node.trial == "on":
                self.starts.append((self._agenda.now, node.id))
        elif what == "settle":
            self._follow(node, node.settle())
            self._measure_on(node)
        elif what == "beside":
            self._follow(node, node.beside(self._agenda.now))
            self._measure_on(node)
        else:
            self._tell(node)

    def _adopt(self, node: VirtualNode) -> None:
        issued = self._documents[node.id]
        if node.id not in self._away and issued.digest != node.document_digest:
            self._follow(node, node.adopt(decode(issued).deployments[0], issued.digest))

    def _follow(self, node: VirtualNode, following: Iterable[Next]) -> None:
        for seconds, what in following:
            if what == "tell":
                self._tell(node)
            else:
                self._agenda.enter(seconds, (what, node.id, node.turn))

    def _measure_on(self, node: VirtualNode) -> None:
        if self._measures:
            for seconds in MORE_S:
                self._agenda.enter(seconds, ("tell", node.id, node.turn))

    def _tell(self, node: VirtualNode) -> None:
        """The node says how it stands. A report may be late or lost, but overtakes none."""
        if node.id in self._away or node.hung:
            return
        if self._random.random() < self._faults.lost:
            self._agenda.enter(SAID_AGAIN_S, ("tell", node.id, node.turn))
            return
        said = node.said(self._agenda.now, measures=self._measures)
        reported = Reported(node.id, 1, node.turn + 1, node.document_digest, "", (said,))
        self._under_way.setdefault(node.id, []).append(reported)
        at = self._agenda.now + timedelta(seconds=self._random.uniform(*MESSAGE_S) + self._late())
        at = self._arrives_at[node.id] = max(at, self._arrives_at.get(node.id, at))
        self._agenda.enter((at - self._agenda.now).total_seconds(), ("arrive", node.id, 0))

    def _late(self) -> float:
        if self._random.random() >= self._faults.late:
            return 0.0
        return self._random.uniform(0, self._faults.seconds("late_by"))

    def _arrive(self, node: NodeId) -> None:
        reported = self._under_way[node].pop(0)
        self.reports += 1
        self._put(replace(self._rows[node], reported=reported, held_digest=reported.desired_digest))

    def _cut_some(self, at: float, lasts: float, share: float) -> None:
        for node in self._random.sample(sorted(self.nodes), round(len(self.nodes) * share)):
            self._agenda.enter(at, ("leave", node, lasts * self._random.uniform(*RETURNS)))

    def _leave(self, node: NodeId, lasts: float) -> None:
        self._away.add(node)
        self._put(replace(self._rows[node], connection=Connection(Presence.OFFLINE, "1")), seen=False)
        self._agenda.enter(lasts, ("return", node, 0))

    def _return(self, node: NodeId) -> None:
        self._away.discard(node)
        self._put(replace(self._rows[node], connection=Connection(Presence.ONLINE, "1")))
        self._adopt(self.nodes[node])
        self._tell(self.nodes[node])

    def _put(self, row: Node, *, seen: bool = True) -> None:
        self._rows[row.id] = replace(row, last_seen=self._agenda.now) if seen else row
        self._changed[row.id] = None
