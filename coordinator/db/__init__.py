"""Tables and their rows: the same nouns again, in SQLAlchemy Core, for SQLite and PostgreSQL."""
