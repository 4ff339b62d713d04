"""Streams, holes, counters and alarms. The partitions of results are made on demand, one for each day."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "streams",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_streams"),
        sa.UniqueConstraint("stream", name="uq_streams_stream"),
    )
    op.create_table(
        "holes",
        sa.Column("stream_number", sa.Integer, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("arrived_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("stream_number", "first", name="pk_holes"),
        sa.ForeignKeyConstraint(["stream_number"], ["streams.number"], name="fk_holes_stream_number"),
    )
    op.create_table(
        "partition_counts",
        sa.Column("partition", sa.Text, nullable=False),
        sa.Column("results", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("partition", name="pk_partition_counts"),
    )
    op.create_table(
        "result_alarms",
        sa.Column("alarm", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("alarm", "node", "stream", name="pk_result_alarms"),
    )
