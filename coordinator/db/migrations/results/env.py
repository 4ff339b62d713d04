"""What Alembic runs to migrate: on the connection that it is handed, in one transaction."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=context.config.attributes["version_table"])
with context.begin_transaction():
    context.run_migrations()
connection.commit()
