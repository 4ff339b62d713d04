"""Insert or update by the primary key: the one statement that SQLite and PostgreSQL share beyond standard SQL."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> None:
    """Store a row, in place of the one with its key where there is one."""
    upsert_all(connection, table, (values,))


def upsert_all(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, object]],
    counting: "sa.Column[int] | None" = None,
) -> None:
    """Store rows that name the same columns, each in place of the one with its key where there is one. `counting` is
    a column that says how often a row was changed.
    """
    if not rows:
        return
    insert = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    key = [column.name for column in table.primary_key]
    others: dict[str, object] = {name: insert.excluded[name] for name in rows[0] if name not in key}
    if counting is not None:
        others[counting.name] = counting + 1
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=others), list(rows))
