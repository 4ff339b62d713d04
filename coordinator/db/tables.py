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
    sa.Column("changes", sa.BigInteger, nullable=False, server_default="0"),
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

join_tokens = sa.Table(
    "join_tokens",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),  # SHA-256 of the secret, which is kept nowhere
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("replaces", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime),
    sa.Column("node", sa.Text),
)

certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("key_digest", sa.Text, nullable=False),
    sa.Column("not_after", UtcDateTime, nullable=False),
    sa.Column("issued_at", UtcDateTime, nullable=False),
    sa.Column("pem", sa.LargeBinary, nullable=False),
)

revoked = sa.Table(
    "revoked",
    metadata,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"], ondelete="CASCADE"),
)

downgrades = sa.Table(
    "downgrades",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"], ondelete="CASCADE"),
)

trust_roots = sa.Table(
    "trust_roots",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("node", sa.Text, sa.ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("bytes_in", sa.BigInteger, nullable=False),
    sa.Column("bytes_out", sa.BigInteger, nullable=False),
    sa.Column("by_kind", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),  # of finished runs of the agent
    sa.Column("run", sa.Text, nullable=False),  # of the run that began at `started`
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

rollouts = sa.Table(
    "rollouts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("model", sa.Text, nullable=False),  # of the version that it moves to
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

rollout_members = sa.Table(
    "rollout_members",
    metadata,
    sa.Column("rollout", sa.Text, sa.ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("node", sa.Text, sa.ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
)

rollout_events = sa.Table(
    "rollout_events",
    metadata,
    sa.Column("rollout", sa.Text, sa.ForeignKey("rollouts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)
