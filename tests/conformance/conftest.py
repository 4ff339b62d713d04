"""What the suites run against: each kind of database, each kind of broker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "database.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """An engine on the empty database."""
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> ControlStore:
    """A store of the newest schema."""
    store = ControlStore(engine)
    store.prepare()
    return store


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto")), "embedded"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of broker whose rules are the coordinator's affair."""
    return str(request.param)
