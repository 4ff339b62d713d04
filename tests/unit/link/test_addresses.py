"""Addresses and announcements: what is dialled, and what is refused with one line."""

import re

import pytest

from coordinator.config import CoordinatorConfig
from coordinator.errors import BadInput as CoordinatorBadInput
from coordinator.link.broker import broker_of
from edge_node.config import BrokerLogin
from edge_node.errors import BadInput, Refused, Unreachable
from edge_node.link.address import coordinator_address, uplink_broker
from edge_node.link.discovery import FoundCoordinator, the_one


@pytest.mark.parametrize("text", ["127.0.0.1:7070", "localhost:1", "[::1]:65535"])
def test_addresses_of_this_machine(text: str) -> None:
    assert coordinator_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "localhost", ":7070", "localhost:", "localhost:0", "localhost:65536", "localhost:٣"]
)
def test_what_is_no_address_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(BadInput, match=r"is not an address: give HOST:PORT, for example 127\.0\.0\.1:7070"):
        coordinator_address(text)


def test_other_machines_are_refused_until_nodes_have_identities() -> None:
    with pytest.raises(Refused, match=r"^coordinator 192\.168\.1\.2:7070 is not on the loopback interface"):
        coordinator_address("192.168.1.2:7070")


def test_an_uplink_url_that_cannot_be_is_one_line() -> None:
    with pytest.raises(BadInput, match="expected mqtt://HOST:PORT"):
        uplink_broker("tcp://localhost", BrokerLogin())


def test_none_found_says_what_to_do() -> None:
    with pytest.raises(
        Unreachable, match=r"no coordinator is announced here: .* say which with --coordinator HOST:PORT"
    ):
        the_one([])


def test_the_same_one_twice_is_one() -> None:
    assert (
        the_one([FoundCoordinator("127.0.0.1:7070", "1"), FoundCoordinator("127.0.0.1:7070", "2")]) == "127.0.0.1:7070"
    )


def test_several_are_all_named_and_none_is_taken() -> None:
    found = [FoundCoordinator(f"127.0.0.1:{port}") for port in (3, 1, 2)]
    with pytest.raises(Refused, match=re.escape("127.0.0.1:1 and 127.0.0.1:2 and 127.0.0.1:3")):
        the_one(found)


def test_a_coordinator_without_a_url_runs_its_own_broker() -> None:
    assert broker_of(CoordinatorConfig()) is None


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (CoordinatorConfig(broker="nonsense"), "is not a broker URL"),
        (CoordinatorConfig(broker="mqtt://10.0.0.1"), "not on the loopback interface"),
        (
            CoordinatorConfig(broker="mqtt://x", broker_password_file="/nowhere"),
            "broker_password_file /nowhere cannot be",
        ),
    ],
)
def test_a_broker_that_cannot_be_is_one_line(config: CoordinatorConfig, complaint: str) -> None:
    with pytest.raises(CoordinatorBadInput, match=complaint):
        broker_of(config)
