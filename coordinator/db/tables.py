"""The tables of the control data. Their history is in `migrations/control`; a test compares the two."""

import sqlalchemy as sa

from coordinator.db.types import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMING)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("only", sa.Integer, sa.CheckConstraint('"only" = 1', name="one_row"), primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last_version", sa.Integer, nullable=False),  # a deleted number is never given again
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("model", sa.Text, sa.ForeignKey("models.name"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("model", "digest"),
)

version_files = sa.Table(
    "version_files",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"], ondelete="CASCADE"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"], ondelete="RESTRICT"),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sa.Column("registered_at", UtcDateTime, nullable=False),
    sa.Column("presence", sa.Text, nullable=False),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("last_seen", UtcDateTime),
    sa.Column("held_digest", sa.Text),
    sa.Column("reported", sa.Text, nullable=False),
    sa.UniqueConstraint("site", "name"),
)

desired = sa.Table(
    "desired",
    metadata,
    sa.Column("node", sa.Text, sa.ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)

forgotten = sa.Table(
    "forgotten",
    metadata,
    sa.Column("node", sa.Text, primary_key=True),
    sa.Column("deleted_at", UtcDateTime, nullable=False),
)

stale_topics = sa.Table(
    "stale_topics",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("cleared", sa.Boolean, nullable=False),
)
