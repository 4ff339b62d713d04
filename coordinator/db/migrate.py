"""Migrations: brings a database to the newest schema. Alembic is imported only here, and only when asked.

Each set of tables has a folder of migrations inside this package and a version table of its own, so that control
data and results may share one PostgreSQL database.
"""

from importlib.resources import as_file, files

import sqlalchemy as sa

from coordinator.db.engine import answering
from coordinator.errors import Refused

CONTROL = "control"


def upgrade(engine: sa.Engine, tables: str) -> None:
    """Apply what is missing of `migrations/<tables>`; nothing where the schema is the newest.

    Raises:
        Unreachable: the database does not answer, or has no room.
        Refused: the database was written by a newer version of Nearfield.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    migrations = files("coordinator.db") / "migrations" / tables
    with as_file(migrations) as folder, answering(engine), engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes.update(connection=connection, version_table=f"nearfield_{tables}_schema")
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            where = engine.url.render_as_string(hide_password=True)
            raise Refused(f"database {where} has a schema that this version does not know: {error}") from None
