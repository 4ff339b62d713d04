"""A node stays a node: a real agent and a real coordinator with its broker, in one process, and clocks that lie."""

import asyncio
import contextlib
import logging
import random
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.app import Coordinator
from coordinator.authority.certificates import CLIENT, read_certificate
from coordinator.authority.files import read_authority
from coordinator.authority.keys import is_p256
from edge_node.app import Agent
from edge_node.cli import main
from edge_node.config import NodeConfig
from edge_node.link import keeper
from edge_node.link.enrollment import Certified
from edge_node.membership import registration, renewal, upkeep
from edge_node.membership.clock_file import ClockFile
from edge_node.membership.enrolling import Applicant, enroll, take_up
from edge_node.membership.identity import Identity, certificate_text, certificate_times
from tests.coordinators import edgectl, join_token, running_coordinator
from tests.durable.node import CONTEXT, draft
from tests.waiting import until

DAY = timedelta(days=1)
YEAR_S = 365 * 86400.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds or minutes in the field takes tenths of a second here."""
    for name, value in (("FIRST_S", 0.1), ("LONGEST_S", 0.5)):
        monkeypatch.setattr(registration, name, value)
    monkeypatch.setattr(renewal, "FIRST_S", 0.2)
    monkeypatch.setattr(keeper, "reconnect_delay", lambda *_: random.uniform(0.1, 0.5))
    monkeypatch.setattr(upkeep, "LOOK_S", 0.1)


async def enrolled(coordinator: Coordinator, folder: Path) -> Identity:
    identity = await enroll(folder, await join_token(coordinator), Applicant(name="cam-3"))
    assert take_up(folder)
    return identity


@contextlib.asynccontextmanager
async def running(folder: Path, system_time: Callable[[], float] = time.time) -> AsyncIterator[Agent]:
    agent = Agent(NodeConfig(state_dir=str(folder), isolation="thread"), system_time)
    task = asyncio.create_task(agent.run())
    try:
        await until(lambda: agent.identity is not None or task.done(), "the agent to start")
        yield agent
    finally:
        agent.stop()
        await task


def offer(agent: Agent, count: int) -> None:
    """Results as pipelines give them."""
    assert agent.identity is not None
    context = replace(CONTEXT, node=agent.identity.node)
    agent.outbox.submit([draft(str(number), context) for number in range(count)])


async def delivered(agent: Agent, through: int) -> None:
    await until(lambda: agent.outbox.freed >= through, f"{through} results to be acknowledged: {agent.status().link}")


def aged(coordinator: Coordinator, folder: Path, ended_ago: timedelta) -> None:
    """Give a node a certificate of 90 days that ended so long ago, as if it had been off since."""
    old = read_certificate((folder / "node.pem").read_bytes())
    key, name = old.public_key(), old.subject.rfc4514_string().removeprefix("CN=")
    assert is_p256(key)
    authority = read_authority(coordinator.folder)
    begins = datetime.now(UTC) - ended_ago - 90 * DAY
    issued = authority.issue(key, name, CLIENT, 90 * DAY, begins)
    times = issued.not_before.timestamp(), issued.not_after.timestamp()
    (folder / "node.pem").write_bytes(certificate_text(Certified(issued.pem, (), *times)))


async def test_a_certificate_is_renewed_at_half_of_its_life_and_nobody_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.fleet.enrollment.FRESH", timedelta(0))  # the half hour passes for the node alone
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord", node_certificate_hours=1) as coordinator:
        await enrolled(coordinator, folder)
        async with running(folder) as agent:
            await until(lambda: agent.clock.is_told, "the time")
            offer(agent, 100)
            await delivered(agent, 100)
            contact, before = agent.contact, certificate_times((folder / "node.pem").read_bytes())
            assert contact is not None
            agent.clock.told(time.time() + 37 * 60)
            offer(agent, 100)
            await until(lambda: certificate_times((folder / "node.pem").read_bytes()) != before, "the renewal")
            offer(agent, 100)
            await delivered(agent, 300)
            assert agent.contact is contact
            assert agent.status().identity.trouble == ""
            assert agent.clock.now() == pytest.approx(time.time(), abs=5)
        async with running(folder) as agent:
            await until(lambda: agent.status().link.connected, "the connection with the new certificate")


async def test_a_coordinator_that_is_down_when_a_renewal_is_due_is_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        await enrolled(coordinator, folder)
        ports = {"port": _port(coordinator.address), "enroll_port": _port(coordinator.enrollment_address)}
        ports["broker_port"] = _port(coordinator.broker_url)
        aged(coordinator, folder, -20 * DAY)
    async with running(folder) as agent:
        offer(agent, 50)
        await until(lambda: agent.status().identity.trouble, "a failed renewal")
        assert "nobody answers" in agent.status().identity.trouble
        async with running_coordinator(tmp_path / "coord", **ports):
            await delivered(agent, 50)
            await until(lambda: not agent.status().identity.trouble, "the renewal")


async def test_a_node_that_was_off_for_forty_days_too_long_comes_back_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        await enrolled(coordinator, folder)
        aged(coordinator, folder, 40 * DAY)
        async with running(folder) as agent:
            offer(agent, 20)
            await delivered(agent, 20)
            assert certificate_times((folder / "node.pem").read_bytes())[1] > time.time() + 80 * 86400


async def test_after_the_grace_one_command_brings_a_running_node_back_with_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        first = await enrolled(coordinator, folder)
        aged(coordinator, folder, 91 * DAY)
        async with running(folder) as agent:
            offer(agent, 20)
            await until(lambda: "grace are over" in agent.status().identity.trouble, "the refusal")
            assert agent.outbox.depth == 20
            assert await edgectl(coordinator, "node", "replace", "cam-3") == 0
            token = capsys.readouterr().out.split("edge-node enroll ")[1].split()[0]
            assert await asyncio.to_thread(main, ["enroll", token, "--again", "--state-dir", str(folder)]) == 0
            await until(lambda: agent.identity is not None and agent.identity.node != first.node, "the new identity")
            offer(agent, 10)
            await delivered(agent, 30)
            assert agent.outbox.dropped == dict.fromkeys(agent.outbox.dropped, 0)


async def test_a_revoked_node_goes_on_running_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        await enrolled(coordinator, folder)
        assert await edgectl(coordinator, "node", "revoke", "cam-3") == 0
        aged(coordinator, folder, -20 * DAY)
        async with running(folder) as agent:
            offer(agent, 5)
            await until(lambda: "was revoked" in agent.status().identity.trouble, "the refusal")
            assert agent.outbox.depth == 5


@pytest.mark.parametrize("kind", ["embedded", pytest.param("mosquitto", marks=pytest.mark.needs("mosquitto"))])
async def test_a_node_that_is_revoked_while_it_is_connected_says_so(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord", own_broker=kind) as coordinator:
        await enrolled(coordinator, folder)
        async with running(folder) as agent:
            offer(agent, 5)
            await delivered(agent, 5)
            assert await edgectl(coordinator, "node", "revoke", "cam-3") == 0
            await until(lambda: not agent.status().link.connected, "the end of the session")
            await until(lambda: "was revoked" in agent.status().link.coordinator, "the refusal")
            offer(agent, 5)
            assert agent.outbox.freed == 5


@pytest.mark.parametrize("off_s", [-50 * YEAR_S, 20 * YEAR_S])
async def test_a_device_whose_clock_is_wrong_comes_back_and_knows_the_time(tmp_path: Path, off_s: float) -> None:
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        await enrolled(coordinator, folder)
        async with running(folder, lambda: time.time() + off_s) as agent:
            offer(agent, 5)
            await delivered(agent, 5)
            await until(lambda: agent.clock.is_told, "the time")
            clock = agent.status().clock
            assert clock.system_off_s == pytest.approx(off_s, abs=10)
            assert clock.time[:10] == f"{datetime.now(UTC):%Y-%m-%d}"
            assert agent.status().identity.trouble == ""
        assert 0 < ClockFile(folder / "clock.json").load() <= time.time() + 1


async def test_two_devices_with_one_identity_both_say_so_and_a_new_one_ends_it(tmp_path: Path) -> None:
    folder, copy = tmp_path / "node", tmp_path / "copy"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        await enrolled(coordinator, folder)
        async with running(folder) as agent:
            offer(agent, 10)
            await delivered(agent, 10)
        shutil.copytree(folder, copy)
        async with running(folder) as agent, running(copy) as clone:
            await until(lambda: "a copied disk" in agent.status().link.broker, "the node to say so")
            await until(lambda: "a copied disk" in clone.status().link.broker, "its clone to say so")
            await enroll(copy, await join_token(coordinator), Applicant(name="cam-4"))
        async with running(folder) as agent, running(copy) as clone:
            offer(agent, 10)
            offer(clone, 10)
            await delivered(agent, 20)
            await delivered(clone, 10)
            assert agent.outbox.stream != clone.outbox.stream


async def test_no_secret_is_ever_logged_and_files_are_for_their_owner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "node"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        token = await join_token(coordinator)
        (tmp_path / "token").write_text(token.text + "\n")
        config = NodeConfig(state_dir=str(folder), name="cam-3", token_file=str(tmp_path / "token"))
        agent = Agent(config)
        task = asyncio.create_task(agent.run())
        await until(lambda: agent.status().link.connected, "a node that enrolls itself at its first start")
        agent.stop()
        await task
    key_line = (folder / "node.key").read_text().splitlines()[1]
    for secret in (key_line, token.text, token.secret.hex()):
        assert secret not in caplog.text
    for name in ("node.key", "identity.json", "clock.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
