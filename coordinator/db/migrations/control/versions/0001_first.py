"""Models, nodes, deployments, desired documents, topics to clear."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and begin in epoch 1."""
    settings = op.create_table(
        "settings",
        sa.Column("only", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_settings"),
        sa.CheckConstraint('"only" = 1', name="ck_settings_one_row"),
    )
    op.bulk_insert(settings, [{"only": 1, "epoch": 1}])
    _models()
    _nodes()
    _topics()


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )
    op.create_table(
        "versions",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("model", "version", name="pk_versions"),
        sa.UniqueConstraint("model", "digest", name="uq_versions_model_digest"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_versions_model"),
    )
    op.create_table(
        "version_files",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "path", name="pk_version_files"),
        _version_key("version_files", "CASCADE"),
    )
    op.create_index("ix_version_files_digest", "version_files", ["digest"])
    op.create_table(
        "deployments",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_deployments"),
        _version_key("deployments", "RESTRICT"),
    )


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("registered_at", TIME, nullable=False),
        sa.Column("presence", sa.Text, nullable=False),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("last_seen", TIME),
        sa.Column("held_digest", sa.Text),
        sa.Column("reported", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
        sa.UniqueConstraint("site", "name", name="uq_nodes_site_name"),
    )
    op.create_table(
        "desired",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_desired"),
        sa.ForeignKeyConstraint(["node"], ["nodes.id"], name="fk_desired_node", ondelete="CASCADE"),
    )


def _topics() -> None:
    op.create_table(
        "forgotten",
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("deleted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_forgotten"),
    )
    op.create_table(
        "stale_topics",
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("cleared", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_stale_topics"),
    )


def _version_key(table: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["model", "version"],
        ["versions.model", "versions.version"],
        name=f"fk_{table}_model_version",
        ondelete=ondelete,
    )
