"""Rollouts, their members and events; leases; how often a node's row was changed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and the column."""
    op.add_column("nodes", sa.Column("changes", sa.BigInteger, nullable=False, server_default="0"))
    _rollouts()
    _members()
    op.create_table(
        "rollout_events",
        sa.Column("rollout", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("rollout", "seq", name="pk_rollout_events"),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name="fk_rollout_events_rollout", ondelete="CASCADE"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollouts"),
    )
    op.create_index("ix_rollouts_deployment", "rollouts", ["deployment"])
    op.create_index("ix_rollouts_ended", "rollouts", ["ended"])


def _members() -> None:
    op.create_table(
        "rollout_members",
        sa.Column("rollout", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("since", TIME),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("rollout", "node", name="pk_rollout_members"),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name="fk_rollout_members_rollout", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["node"], ["nodes.id"], name="fk_rollout_members_node", ondelete="CASCADE"),
    )
    op.create_index("ix_rollout_members_node", "rollout_members", ["node"])
