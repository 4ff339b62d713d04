"""Announcing and finding a coordinator by zeroconf, on the loopback interface."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from coordinator.link import discovery as announcing
from coordinator.link.discovery import Announced, Announcement
from edge_node.link.child import ask
from edge_node.link.discovery import Found, FoundCoordinator, Look

Announce = Callable[[int], Awaitable[Announcement]]


@pytest.fixture
def service_type(monkeypatch: pytest.MonkeyPatch) -> str:
    """A service type of this test's own: other coordinators may run on this machine."""
    unique = f"_nf{uuid.uuid4().hex[:10]}._tcp.local."
    monkeypatch.setattr(announcing, "SERVICE_TYPE", unique)
    return unique


@pytest.fixture
async def announce(service_type: str) -> AsyncIterator[Announce]:
    made: list[Announcement] = []

    async def start(port: int) -> Announcement:
        made.append(Announcement(Announced("shop.example", ("127.0.0.1",), port, port + 1, "0.1.0", "sha256:abc")))
        await made[-1].start()
        async with asyncio.timeout(20):
            while not made[-1].state.startswith("discovery: announced"):  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.05)
        return made[-1]

    yield start
    for one in made:
        await one.stop()


async def found(service_type: str, at_least: int = 0) -> tuple[FoundCoordinator, ...]:
    """What is found, looking again until it is so many: multicast is not reliable on a busy machine."""
    async with asyncio.timeout(40):
        while True:
            request = Look(seconds=1.0, service_type=service_type)
            coordinators = (await ask("edge_node.link.mdns", request, Found)).coordinators
            if len(coordinators) >= at_least:
                return coordinators


async def test_an_announced_coordinator_is_found_with_what_it_says(service_type: str, announce: Announce) -> None:
    await announce(7070)
    expected = FoundCoordinator("127.0.0.1:7070", "0.1.0", "sha256:abc", "127.0.0.1:7071")
    assert await found(service_type, at_least=1) == (expected,)


async def test_two_are_both_found(service_type: str, announce: Announce) -> None:
    await announce(7070)
    await announce(7071)
    addresses = [one.address for one in await found(service_type, at_least=2)]
    assert addresses == ["127.0.0.1:7070", "127.0.0.1:7071"]


async def test_a_coordinator_that_left_is_not_found(service_type: str, announce: Announce) -> None:
    await (await announce(7070)).stop()
    assert await found(service_type) == ()


@pytest.mark.filterwarnings(  # zeroconf leaves its first socket to the garbage collector when the second fails
    "ignore:.*5353:pytest.PytestUnraisableExceptionWarning"
)
async def test_without_multicast_a_coordinator_runs_on() -> None:
    nowhere = ("192.0.2.1",)  # TEST-NET-1: no interface has it
    announcement = Announcement(Announced("shop", nowhere, 7070, 7071, "0.1.0", ""))
    await announcement.start()
    async with asyncio.timeout(20):
        while "is off" not in announcement.state:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.05)
    assert announcement.state.endswith("give devices --coordinator HOST:7071")
    await announcement.stop()
