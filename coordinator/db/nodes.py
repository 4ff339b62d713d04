"""Rows of nodes and of their newest desired documents."""

from collections.abc import Iterable, Mapping

import msgspec
import sqlalchemy as sa

from coordinator.db import tables
from coordinator.db.portions import portions
from coordinator.db.tables import desired, nodes
from coordinator.db.upsert import upsert_all
from coordinator.fleet.presence import Connection, Presence
from coordinator.fleet.records import Issued, Node
from protos.identity import NodeId
from protos.reported import Facts, Reported


class NodeRows:
    """`fleet.store.Nodes` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[Node, ...]:
        """All nodes, by site and name."""
        found = self._connection.execute(sa.select(nodes)).mappings()
        return tuple(sorted((_node(row) for row in found), key=lambda node: (node.site, node.name)))

    def changes(self) -> Mapping[NodeId, int]:
        """How often every node was stored: much less to read than the nodes."""
        found = self._connection.execute(sa.select(tables.nodes.c.id, tables.nodes.c.changes))
        return {NodeId(node): int(count) for node, count in found.all()}

    def of(self, nodes: Iterable[NodeId]) -> tuple[Node, ...]:
        """These nodes, in no order."""
        found: list[Node] = []
        for some in portions(nodes):
            rows = self._connection.execute(sa.select(tables.nodes).where(tables.nodes.c.id.in_(some))).mappings()
            found += map(_node, rows)
        return tuple(found)

    def get(self, node: NodeId) -> Node | None:
        """One node by its id."""
        row = self._connection.execute(sa.select(nodes).where(nodes.c.id == node)).mappings().one_or_none()
        return None if row is None else _node(row)

    def named(self, site: str, name: str) -> Node | None:
        """One node by what it is called."""
        query = sa.select(nodes).where(nodes.c.site == site, nodes.c.name == name)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _node(row)

    def put(self, node: Node) -> None:
        """Store a node, new or known."""
        self.put_all((node,))

    def put_all(self, some: Iterable[Node]) -> None:
        """Store several nodes, new or known."""
        upsert_all(self._connection, nodes, [_row(node) for node in some], counting=nodes.c.changes)

    def remove(self, node: NodeId) -> None:
        """Delete a node and its desired document."""
        self._connection.execute(sa.delete(nodes).where(nodes.c.id == node))


class DocumentRows:
    """`fleet.store.Documents` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> Mapping[NodeId, Issued]:
        """All documents."""
        found = (_issued(row) for row in self._connection.execute(sa.select(desired)).mappings())
        return {issued.node: issued for issued in found}

    def of(self, nodes: Iterable[NodeId]) -> Mapping[NodeId, Issued]:
        """The documents of these nodes."""
        found: dict[NodeId, Issued] = {}
        for some in portions(nodes):
            rows = self._connection.execute(sa.select(desired).where(desired.c.node.in_(some))).mappings()
            found.update((row["node"], _issued(row)) for row in rows)
        return found

    def get(self, node: NodeId) -> Issued | None:
        """The document of one node."""
        row = self._connection.execute(sa.select(desired).where(desired.c.node == node)).mappings().one_or_none()
        return None if row is None else _issued(row)

    def put(self, issued: Issued) -> None:
        """Store a node's newest document."""
        self.put_all((issued,))

    def put_all(self, issued: Iterable[Issued]) -> None:
        """Store the newest documents of several nodes."""
        rows = [
            {
                "node": one.node,
                "epoch": one.epoch,
                "revision": one.revision,
                "digest": one.digest,
                "payload": one.payload,
            }
            for one in issued
        ]
        upsert_all(self._connection, desired, rows)


def _row(node: Node) -> dict[str, object]:
    return {
        "id": node.id,
        "site": node.site,
        "name": node.name,
        "labels": msgspec.json.encode(node.labels).decode(),
        "facts": msgspec.json.encode(node.facts).decode(),
        "registered_at": node.registered_at,
        "presence": str(node.connection.presence),
        "connection": node.connection.id,
        "last_seen": node.last_seen,
        "held_digest": node.held_digest,
        "reported": "" if node.reported is None else msgspec.json.encode(node.reported).decode(),
    }


def _node(row: sa.RowMapping) -> Node:
    return Node(
        id=row["id"],
        site=row["site"],
        name=row["name"],
        labels=msgspec.json.decode(row["labels"], type=dict[str, str]),
        facts=msgspec.json.decode(row["facts"], type=Facts),
        registered_at=row["registered_at"],
        connection=Connection(Presence(row["presence"]), row["connection"]),
        last_seen=row["last_seen"],
        held_digest=row["held_digest"],
        reported=msgspec.json.decode(row["reported"], type=Reported) if row["reported"] else None,
    )


def _issued(row: sa.RowMapping) -> Issued:
    return Issued(row["node"], row["epoch"], row["revision"], row["digest"], bytes(row["payload"]))
