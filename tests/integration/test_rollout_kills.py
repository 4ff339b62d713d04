"""Whoever acts on rollouts is killed again and again: nothing is ordered twice, nothing beyond the cap."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.rollouts.lease import LASTS, NAME
from tests.sizes import random_of, times, tried
from tests.virtual_fleet import DyingStore, Killed, VirtualFleet
from tests.waiting import comes_true

pytestmark = pytest.mark.soak

MOST_CALLS = 120
"""of a life on the database: a round with news makes 20 to 40"""
TURNS = 1000
"""After so many something hangs."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    """A new database."""
    made = ControlStore(open_engine(sqlite_url(tmp_path / "control.db")))
    made.prepare()
    yield made
    made.close()


def until_over(fleet: VirtualFleet) -> None:
    """Rounds, publications and reports in any order, with a kill at any call, until the rollout has ended."""
    for _ in range(TURNS):
        calls = fleet.random.randrange(1, MOST_CALLS)
        if not _lived(fleet, calls):
            fleet.kills += 1
            fleet.pass_time(LASTS.total_seconds())  # the next one waits for the lease
            if fleet.random.random() < 0.5:
                fleet.publish_what_differs()  # the first thing that a new process does, unless it is killed as well
        fleet.report(fleet.random.randrange(4))
        if fleet.state() in ("completed", "reverted"):
            return
    raise AssertionError(f"it hangs: {fleet.state()}")


def _lived(fleet: VirtualFleet, calls: int) -> bool:
    """One life of whoever acts: a few rounds, or a kill before, in or after a transaction, or before it publishes."""
    try:
        rounds = fleet.acting(DyingStore(fleet.store, calls))
        for _ in range(3):
            found = fleet.round(rounds)
            if fleet.random.random() < 0.2:
                return False
            fleet.publish(found.nodes)
            fleet.pass_time(fleet.random.random() * 3)
    except Killed:
        fleet.check()
        return False
    return True


@pytest.mark.parametrize("failing", [0.0, 0.01, 0.2, 1.0])
def test_kills_order_nothing_twice_and_nothing_beyond_the_cap(store: ControlStore, failing: float) -> None:
    """Promise R10."""
    for number in range(times(1)):
        random = random_of(f"rollout kills {failing} {number}")
        fleet = VirtualFleet(store if number == 0 else _fresh(store, number), 30, random, failing)
        fleet.create(canary="2", waves=("30%", "100%"), max_parallel="4", max_failures="5%")
        until_over(fleet)
        fleet.publish_what_differs()
        assert fleet.versions() == ({2} if fleet.state() == "completed" else {1})
        assert fleet.audited(f"rollout.{fleet.state()}") == 1
        assert failing in (0.01, 0.2) or fleet.state() == ("completed" if failing == 0.0 else "reverted")
        if failing == 1.0:
            assert sum(bool(node.starts) for node in fleet.nodes.values()) <= 1 + 4
        tried["kills of whoever acts on rollouts"] += fleet.kills


def _fresh(store: ControlStore, number: int) -> ControlStore:
    file = Path(str(store._engine.url.database)).with_name(f"control-{number}.db")
    made = ControlStore(open_engine(sqlite_url(file)))
    made.prepare()
    return made


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happened_all_nodes_are_as_desired_within_two_comparisons(store: ControlStore, seed: int) -> None:
    """Promise U7: kills, lost publications, lost reports, orders of people; then quiet."""
    random = random_of(f"drill {seed}")
    fleet = VirtualFleet(store, 20, random, failing=0.1)
    fleet.create(canary="1", waves=("50%", "100%"), max_parallel="3", max_failures="20%")
    for _ in range(random.randrange(5, 25)):
        _lived(fleet, random.randrange(1, MOST_CALLS))
        fleet.pass_time(LASTS.total_seconds())
        fleet.report(random.randrange(6))
    quiet = fleet.acting()
    for _ in range(100):
        found = fleet.round(quiet)
        fleet.publish(found.nodes)
        fleet.publish_what_differs()
        fleet.report()
        fleet.pass_time(60)
        if fleet.state() in ("completed", "reverted"):
            break
    for _ in range(2):
        fleet.publish_what_differs()
        fleet.report()
    assert fleet.comparison.outdated() == ()
    assert fleet.versions() == ({2} if fleet.state() == "completed" else {1})


def test_only_the_holder_of_the_lease_acts_and_the_next_one_within_seconds(store: ControlStore) -> None:
    fleet = VirtualFleet(store, 6, random_of("two"))
    fleet.create(max_parallel="1")
    first, second = fleet.acting(), fleet.acting()
    assert fleet.round(first).nodes
    for _ in range(3):
        fleet.pass_time(LASTS.total_seconds() / 2)
        waits = fleet.round(second)
        assert waits.nodes == ()
        assert waits.wake_at is not None
        fleet.round(first)
    fleet.publish_what_differs()
    fleet.report()
    fleet.pass_time(LASTS.total_seconds())
    assert fleet.round(second).nodes  # the first is dead
    assert fleet.round(first).nodes == ()
    with store.read() as tx:
        lease, rollout = tx.leases.get("rollouts"), tx.rollouts.get("shelf-1")
    assert lease is not None
    assert rollout is not None
    assert (lease.holder, lease.fence, rollout.fence) == ("life 2", 2, 2)
    second.give_back()
    assert fleet.round(fleet.acting()).wake_at is not None


@pytest.mark.needs("postgres")
async def test_of_two_processes_on_one_postgres_the_other_goes_on_when_one_is_killed(postgres_url: str) -> None:
    store = ControlStore(open_engine(postgres_url))
    store.prepare()
    fleet = VirtualFleet(store, 4, random_of("processes"), clock=None)
    processes = {name: _actor(postgres_url, name) for name in ("a", "b")}
    try:
        for process in processes.values():
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        fleet.create(max_parallel="1")
        await _driven(fleet, lambda: sum(bool(node.starts) for node in fleet.nodes.values()) >= 2)
        killed = _holder(store)
        processes[killed].kill()
        await _driven(fleet, lambda: fleet.state() == "completed")
        assert _holder(store) != killed
        fleet.publish_what_differs()
        assert fleet.versions() == {2}
        assert all(len(node.starts) == 1 for node in fleet.nodes.values())
        assert fleet.audited("rollout.completed") == 1
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
        store.close()


def _actor(url: str, holder: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.rollout_actor", url, holder], stdout=subprocess.PIPE)


def _holder(store: ControlStore) -> str:
    with store.read() as tx:
        lease = tx.leases.get(NAME)
    assert lease is not None
    return lease.holder


async def _driven(fleet: VirtualFleet, condition: Callable[[], bool]) -> None:
    """Nodes hear and answer, until the condition holds."""

    def turn() -> bool:
        fleet.publish_what_differs()
        fleet.report()
        fleet.check()
        return condition()

    await comes_true(turn)
