"""A control database for each test: a copy of one that was migrated once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from tests.unit.fleet.examples import a_version


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file of the newest schema, in which model m has version 1."""
    file = tmp_path_factory.mktemp("control") / "control.db"
    store = ControlStore(open_engine(sqlite_url(file)))
    store.prepare()
    with store.write() as tx:
        tx.versions.take_number("m")
        tx.versions.add(a_version())
    store.close()
    return file


@pytest.fixture
def store(migrated: Path, tmp_path: Path) -> Iterator[ControlStore]:
    """A store of its own for each test."""
    file = tmp_path / "control.db"
    shutil.copy(migrated, file)
    store = ControlStore(open_engine(sqlite_url(file)))
    yield store
    store.close()
