"""Insert or update by the primary key: the one statement that SQLite and PostgreSQL share beyond standard SQL."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """Store a row, in place of the one with its key where there is one."""
    insert = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    key = [column.name for column in table.primary_key]
    others = {name: value for name, value in values.items() if name not in key}
    connection.execute(insert.values(**values).on_conflict_do_update(index_elements=key, set_=others))
