"""Join tokens, revoked principals, the audit log, releases and trust roots, traffic."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _identity()
    _releases()
    _audit()
    op.create_table(
        "traffic",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("bytes_in", sa.BigInteger, nullable=False),
        sa.Column("bytes_out", sa.BigInteger, nullable=False),
        sa.Column("by_kind", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_traffic"),
        sa.ForeignKeyConstraint(["node"], ["nodes.id"], name="fk_traffic_node", ondelete="CASCADE"),
    )


def _identity() -> None:
    op.create_table(
        "join_tokens",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("replaces", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
        sa.Column("node", sa.Text),
        sa.PrimaryKeyConstraint("digest", name="pk_join_tokens"),
    )
    op.create_table(
        "certificates",
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("key_digest", sa.Text, nullable=False),
        sa.Column("not_after", TIME, nullable=False),
        sa.Column("issued_at", TIME, nullable=False),
        sa.Column("pem", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("principal", name="pk_certificates"),
    )
    op.create_table(
        "revoked",
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("principal", name="pk_revoked"),
    )


def _releases() -> None:
    for table in ("releases", "downgrades"):
        op.create_table(
            table,
            sa.Column("model", sa.Text, nullable=False),
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("envelope", sa.LargeBinary, nullable=False),
            sa.PrimaryKeyConstraint("model", "version", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(
                ["model", "version"],
                ["versions.model", "versions.version"],
                name=f"fk_{table}_model_version",
                ondelete="CASCADE",
            ),
        )
    op.create_table(
        "trust_roots",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_trust_roots"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
