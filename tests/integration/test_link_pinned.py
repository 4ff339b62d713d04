"""The uplink meets its coordinator's broker and nobody else, whatever address it dials and whatever the clock says."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from edge_node.link.connection import Tls
from edge_node.link.mqtt import Uplink
from edge_node.link.session import Backoff
from edge_node.link.tls import Credentials, node_context
from edge_node.link.validity import UNKNOWN, KnownTime
from protos.broker_url import Broker
from protos.identity import NodeId
from protos.topics import Topics
from tests.authorities import Authority, Files
from tests.integration.brokers import WAIT_S, RealMosquitto, mosquitto

pytestmark = pytest.mark.needs("mosquitto")

NODE = NodeId("0123456789abcdef" * 2)
QUICK = Backoff(shortest_s=0.05, longest_s=0.2, refused_s=0.1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@contextmanager
def broker(folder: Path, shown: Files, known: Authority) -> Iterator[RealMosquitto]:
    """A Mosquitto that shows a certificate and asks for one of the authority."""
    lines = [f"cafile {known.ca}", f"certfile {shown.certificate}", f"keyfile {shown.key}", "require_certificate true"]
    with mosquitto(folder, "\n".join([*lines, "use_identity_as_username true"])) as running:
        yield running


def credentials(files: Files, authority: Authority) -> Credentials:
    return Credentials(str(files.certificate), str(files.key), str(authority.ca))


def uplink_to(running: RealMosquitto, tls: Tls, host: str = "localhost") -> Uplink:
    address = Broker(host, running.port, tls=True)
    return Uplink(
        address, NODE, Topics(), on_connected=lambda _: None, on_message=lambda *_: None, backoff=QUICK, tls=tls
    )


async def outcome(uplink: Uplink, done: Callable[[], bool]) -> str:
    """The uplink's state once it is done."""
    await uplink.start()
    try:
        async with asyncio.timeout(WAIT_S):
            while not done():  # noqa: ASYNC110 (an uplink has states, no events)
                await asyncio.sleep(0.02)
        return uplink.state
    finally:
        await uplink.stop()


async def test_it_goes_by_the_name_of_brokers_and_not_by_the_host_that_it_dials(
    tmp_path: Path, authority: Authority
) -> None:
    tls = partial(node_context, credentials(authority.issue(NODE), authority), lambda: UNKNOWN)
    with broker(tmp_path, authority.issue("broker", server=True), authority) as running:
        uplink = uplink_to(running, tls)
        assert (await outcome(uplink, lambda: uplink.connected)).startswith("connected to mqtts://localhost")


async def test_a_stranger_at_the_address_hears_nothing_where_the_systems_authorities_would_let_it(
    tmp_path: Path, authority: Authority
) -> None:
    """Control arm: a context that trusts the stranger's authority, as a system may, connects."""
    stranger = Authority(tmp_path / "stranger")
    files = credentials(authority.issue(NODE), authority)
    with broker(tmp_path, stranger.issue("broker", server=True), authority) as running:
        uplink = uplink_to(running, partial(node_context, files, lambda: UNKNOWN))
        assert "is not trusted: " in await outcome(uplink, lambda: "trusted" in uplink.state)

        def trusting() -> ssl.SSLContext:
            context = ssl.create_default_context(cafile=stranger.ca)
            context.load_cert_chain(files.certificate, files.key)
            return context

        control = uplink_to(running, trusting, host="127.0.0.1")
        assert (await outcome(control, lambda: control.connected)).startswith("connected")


async def test_another_nodes_certificate_makes_no_broker(tmp_path: Path, authority: Authority) -> None:
    files = credentials(authority.issue(NODE), authority)
    with broker(tmp_path, authority.issue("f" * 32), authority) as running:
        uplink = uplink_to(running, partial(node_context, files, lambda: UNKNOWN))
        assert "is not trusted: " in await outcome(uplink, lambda: "trusted" in uplink.state)


async def test_an_expired_broker_is_met_while_nobody_knows_the_time_and_not_after(
    tmp_path: Path, authority: Authority
) -> None:
    files = credentials(authority.issue(NODE), authority)
    with broker(tmp_path, authority.issue("broker", server=True, expired=True), authority) as running:
        lost = uplink_to(running, partial(node_context, files, lambda: UNKNOWN))
        assert (await outcome(lost, lambda: lost.connected)).startswith("connected")
        told = uplink_to(running, partial(node_context, files, lambda: KnownTime(earliest=time.time())))
        assert "expired on" in await outcome(told, lambda: "trusted" in told.state)


async def test_a_node_that_is_not_let_in_says_why(tmp_path: Path, authority: Authority) -> None:
    other = Authority(tmp_path / "other")
    files = credentials(other.issue(NODE), authority)
    with broker(tmp_path, authority.issue("broker", server=True), authority) as running:
        uplink = uplink_to(running, partial(node_context, files, lambda: UNKNOWN))
        before = uplink.state
        said = await outcome(uplink, lambda: uplink.state != before)
        assert "does not take this node's certificate: " in said or "lost the connection" in said
        assert not uplink.connected


async def test_a_key_that_is_missing_is_one_line(tmp_path: Path, authority: Authority) -> None:
    files = Credentials(str(tmp_path / "node.pem"), str(tmp_path / "node.key"), str(authority.ca))
    with broker(tmp_path, authority.issue("broker", server=True), authority) as running:
        uplink = uplink_to(running, partial(node_context, files, lambda: UNKNOWN))
        assert "edge-node enroll TOKEN --again" in await outcome(uplink, lambda: "cannot be used" in uplink.state)
