"""Rows of the bytes that nodes took in and let out."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from coordinator.db.tables import traffic
from coordinator.db.upsert import upsert
from coordinator.fleet.traffic import Counts, Traffic
from protos.identity import NodeId


class TrafficRows:
    """`fleet.store.Traffics` on a connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def all(self) -> Mapping[NodeId, Traffic]:
        """The traffic of all nodes that have told of it."""
        found = (_traffic(row) for row in self._connection.execute(sa.select(traffic)).mappings())
        return {one.node: one for one in found}

    def get(self, node: NodeId) -> Traffic | None:
        """The traffic of one node."""
        row = self._connection.execute(sa.select(traffic).where(traffic.c.node == node)).mappings().one_or_none()
        return None if row is None else _traffic(row)

    def put(self, one: Traffic) -> None:
        """Store the newest traffic of a node."""
        total = one.total
        values = {
            "node": one.node,
            "bytes_in": total.taken_in,
            "bytes_out": total.left,
            "by_kind": msgspec.json.encode(total.out).decode(),
            "before": msgspec.json.encode(one.before).decode(),
            "run": msgspec.json.encode(one.run).decode(),
            "started": one.started,
            "at": one.at,
        }
        upsert(self._connection, traffic, values)


def _traffic(row: sa.RowMapping) -> Traffic:
    before, run = (msgspec.json.decode(row[column], type=Counts) for column in ("before", "run"))
    return Traffic(row["node"], before, run, row["started"], row["at"])
