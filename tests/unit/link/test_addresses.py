"""Addresses and announcements: what is dialled, and what is refused with one line."""

import pytest

from coordinator.config import CoordinatorConfig
from coordinator.errors import BadInput as CoordinatorBadInput
from coordinator.link.broker import broker_of
from edge_node.config import BrokerLogin
from edge_node.errors import BadInput
from edge_node.link.address import at_host_of, coordinator_address, uplink_broker


@pytest.mark.parametrize("text", ["127.0.0.1:7070", "localhost:1", "[::1]:65535", "192.168.1.2:7070"])
def test_addresses_are_host_and_port(text: str) -> None:
    assert coordinator_address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost",
        ":7070",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "localhost:٣",
        "localhost:" + "7" * 5000,
    ],
)
def test_what_is_no_address_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(BadInput, match=r"is not an address: give HOST:PORT, for example 127\.0\.0\.1:7070"):
        coordinator_address(text)


def test_an_ipv6_address_stands_in_brackets() -> None:
    with pytest.raises(BadInput, match=r"stands in brackets: \[fe80::1\]:7070$"):
        coordinator_address("fe80::1:7070")


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("mqtts://0.0.0.0:8883", "mqtts://10.0.0.5:8883"),
        ("0.0.0.0:7070", "10.0.0.5:7070"),
        (":7070", "10.0.0.5:7070"),
        ("mqtts://[::]:8883", "mqtts://10.0.0.5:8883"),
        ("mqtts://broker.example:8883", "mqtts://broker.example:8883"),
    ],
)
def test_an_unspecified_host_is_the_one_that_was_dialled(told: str, meant: str) -> None:
    assert at_host_of("10.0.0.5:7071", told) == meant


def test_an_unspecified_host_is_the_one_that_was_dialled_also_in_ipv6() -> None:
    assert at_host_of("[fe80::1]:7071", "mqtts://[::]:8883") == "mqtts://[fe80::1]:8883"


def test_an_uplink_url_that_cannot_be_is_one_line() -> None:
    with pytest.raises(BadInput, match="expected mqtt://HOST:PORT"):
        uplink_broker("tcp://localhost", BrokerLogin())


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
