"""Fixtures for all tests: the test data, and programs that may not be installed."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import sizes

settings.register_profile("quick", max_examples=30, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.register_profile("soak", max_examples=sizes.times(30), deadline=None)
settings.load_profile("quick" if sizes.N == 1 else "soak")  # another one: --hypothesis-profile thorough

ROOT = Path(__file__).parent.parent
MOST_WORKERS = 8
"""Each has a PostgreSQL and fleets of its own; more would not end earlier, as the longest file takes a minute."""

pytest_plugins = ["tests.postgres", "tests.triton"]


@pytest.fixture(autouse=True)
def _log_handlers() -> Iterator[None]:
    """A command that configures its log in this process leaves no handler on a stream that ends with the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = [handler for handler in root.handlers if handler in before or _is_pytests(handler)]
    root.setLevel(level)


def _is_pytests(handler: logging.Handler) -> bool:
    return type(handler).__module__.startswith("_pytest")


def pytest_xdist_auto_num_workers() -> int:
    """How many processes `make test` spreads the files over: more than there are cores, as most tests wait."""
    return min(len(os.sched_getaffinity(0)) + 1, MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked `needs(program)` is skipped, by name, where the program is absent; with CI=true it fails.

    One marked `soak` takes as long as its size needs.
    """
    for item in items:
        if sizes.N > 1 and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(0), append=False)
        for mark in item.iter_markers("needs"):
            absent = [program for program in mark.args if _program(program) is None]
            if absent and os.environ.get("CI") != "true":
                item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(absent)}: not installed here"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """At the end of `make soak`: what was tried."""
    if sizes.N > 1:
        terminalreporter.section("soak")
        for line in sizes.report():
            terminalreporter.line(line)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """With CI=true an absent program is a failure."""
    for mark in item.iter_markers("needs"):
        absent = [program for program in mark.args if _program(program) is None]
        if absent and os.environ.get("CI") == "true":
            pytest.fail(f"needs {', '.join(absent)}: CI must install it", pytrace=False)


def _program(name: str) -> str | None:
    """The path of a program; Debian keeps PostgreSQL's and some daemons off the PATH."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join(places))


@pytest.fixture(scope="session")
def program() -> object:
    """The path of an installed program, by name."""
    return _program


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real models and inputs: NEARFIELD_TEST_DATA, default ../shared/data."""
    folder = Path(os.environ.get("NEARFIELD_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set NEARFIELD_TEST_DATA")
    return folder
