"""What the programs tell systemd, over a real socket; a loop that hangs falls silent."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Protocol

import pytest

from coordinator.service import notify as of_coordinator
from edge_node.service import notify as of_node

PULSE_S = 0.02


class Speaking(Protocol):
    def ready(self, status: Callable[[], str]) -> None: ...
    def stopping(self) -> None: ...
    def close(self) -> None: ...


Make = Callable[[MutableMapping[str, str]], Speaking]


@pytest.fixture(params=[of_node.notifier, of_coordinator.notifier], ids=["node", "coordinator"])
def notifier(request: pytest.FixtureRequest) -> Make:
    make: Make = request.param
    return make


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    watchdog = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(int(3 * PULSE_S * 1e6))}
    return {**watchdog, "WATCHDOG_PID": str(os.getpid()), **more}


def heard(manager: socket.socket) -> list[str]:
    """All that waits in the socket."""
    manager.setblocking(False)
    messages = []
    try:
        while True:
            messages.append(manager.recv(4096).decode())
    except BlockingIOError:
        return messages


async def test_it_says_that_it_is_ready_that_it_lives_what_it_does_and_that_it_ends(
    notifier: Make, manager: socket.socket, tmp_path: Path
) -> None:
    service = notifier(environment(tmp_path))
    service.ready(lambda: "two\nlines")
    await asyncio.sleep(5 * PULSE_S)
    service.stopping()
    service.close()
    messages = heard(manager)
    assert (messages[0], messages[-1]) == ("READY=1", "STOPPING=1")
    assert len(messages) >= 4
    assert set(messages[1:-1]) == {"WATCHDOG=1\nSTATUS=two lines"}


async def test_a_loop_that_hangs_sends_no_pulse(notifier: Make, manager: socket.socket, tmp_path: Path) -> None:
    service = notifier(environment(tmp_path))
    service.ready(lambda: "")
    await asyncio.sleep(3 * PULSE_S)
    assert "WATCHDOG=1\nSTATUS=" in heard(manager)
    time.sleep(8 * PULSE_S)  # noqa: ASYNC251 - the hang
    assert heard(manager) == []
    await asyncio.sleep(3 * PULSE_S)
    assert heard(manager), "the loop turns again"
    service.close()


async def test_another_process_watched_means_that_we_only_tell_our_status(
    notifier: Make, manager: socket.socket, tmp_path: Path
) -> None:
    service = notifier(environment(tmp_path, WATCHDOG_PID="1"))
    service.ready(lambda: "")
    await asyncio.sleep(5 * PULSE_S)
    service.close()
    assert len(heard(manager)) == 2


def test_children_do_not_inherit_the_socket(notifier: Make, tmp_path: Path) -> None:
    inherited = environment(tmp_path, PATH="/bin")
    notifier(inherited)
    assert inherited == {"PATH": "/bin"}


async def test_an_abstract_socket_is_one_too(notifier: Make) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # the kernel chooses an abstract name
        service = notifier({"NOTIFY_SOCKET": "@" + manager.getsockname()[1:].decode()})
        service.stopping()
        assert heard(manager) == ["STOPPING=1"]


async def test_without_a_manager_nothing_is_sent_and_nothing_breaks(notifier: Make, tmp_path: Path) -> None:
    service = notifier({})
    service.ready(lambda: pytest.fail("nobody asked"))
    await asyncio.sleep(0)
    service.stopping()
    service.close()
    lost = notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    lost.stopping()
