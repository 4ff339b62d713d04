"""A real PostgreSQL for tests: started once a session on a Unix socket, with a fresh database for every test.

    @pytest.mark.needs("postgres")
    def test_…(postgres_url: str) -> None: ...

PostgreSQL refuses to run as root: there it runs as the user `postgres` that Debian's package makes.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SETTINGS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=50", "shared_buffers=32MB")


@dataclass(frozen=True)
class PostgresServer:
    """A running server, reached through the Unix socket in its folder."""

    folder: Path

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run a statement outside of any transaction."""
        import psycopg  # an extra: collecting the tests must not need it

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres_server(program: Callable[[str], str | None]) -> Iterator[PostgresServer]:
    """A server in a temporary folder, gone afterwards."""
    found = program("postgres")
    assert found is not None, "mark the test with needs('postgres')"
    folder = Path(tempfile.mkdtemp(prefix="nearfield-pg-"))
    user = _server_user()
    if user is not None:
        shutil.chown(folder, user)
    control = [str(Path(found).with_name("pg_ctl")), "-D", str(folder / "data"), "-w", "-s"]
    options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={folder}"))
    try:
        _run(
            [
                str(Path(found).with_name("initdb")),
                "-D",
                folder / "data",
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "-E",
                "UTF8",
            ],
            user,
        )
        _run([*control, "-o", options, "-l", str(folder / "log"), "start"], user)
        try:
            yield PostgresServer(folder)
        finally:
            _run([*control, "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _server_user() -> str | None:
    """The user to run the server as, None for the present one."""
    return pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None


def _run(command: list[str | Path], user: str | None) -> None:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    done = subprocess.run(
        command, user=user, group=user, extra_groups=[] if user else None, cwd="/", env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
