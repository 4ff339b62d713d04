"""The tables of the results database. The fixed ones have migrations in `migrations/results`; a test compares the two.

A partition holds the results that arrived on one UTC day and is made when the first one comes. Its rows are found by
`id`, which is the stream's number and the result's sequence in one, and by `time_us`, the event's time in microseconds
since 1970: two indexes are all that an insert pays for.
"""

from functools import lru_cache

import sqlalchemy as sa

from coordinator.db.tables import NAMING
from coordinator.db.types import UtcDateTime
from coordinator.results.records import SEQ_BITS

metadata = sa.MetaData(naming_convention=NAMING)

streams = sa.Table(
    "streams",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("stream", sa.Text, nullable=False, unique=True),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("site", sa.Text, nullable=False),  # of the newest result, as is the name
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("through", sa.BigInteger, nullable=False),
)

holes = sa.Table(
    "holes",
    metadata,
    sa.Column("stream_number", sa.Integer, sa.ForeignKey("streams.number"), primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("arrived_at", UtcDateTime, nullable=False),
)

partition_counts = sa.Table(
    "partition_counts",
    metadata,
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("results", sa.BigInteger, nullable=False),
)

alarms = sa.Table(
    "result_alarms",
    metadata,
    sa.Column("alarm", sa.Text, primary_key=True),
    sa.Column("node", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("times", sa.BigInteger, nullable=False),
)

labels = sa.Table(
    "labels",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("time_us", sa.BigInteger, nullable=False),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("pipeline", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("right", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index(None, "model", "version", "time_us"),
)
"""What results should have said; ids are those of the results, which may be dropped before their labels are."""

COLUMNS = ("id", "time_us", "node", "site", "name", "pipeline", "model", "version", "event")


@lru_cache(maxsize=4096)  # ten years: SQLAlchemy compiles a statement once for each table object
def partition_table(name: str) -> sa.Table:
    """A partition, in a collection of its own: partitions come and go while the coordinator runs."""
    return sa.Table(
        name,
        sa.MetaData(naming_convention=NAMING),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Index(None, "time_us", "id"),
    )


def row_id(stream_number: int, seq: int) -> int:
    """The id of a result's row."""
    return stream_number << SEQ_BITS | seq
