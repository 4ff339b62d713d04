"""Under which addresses a coordinator is offered to devices."""

import pytest

from coordinator.link.addresses import advertised, hosts_in_certificate, machine_addresses, reached
from coordinator.link.discovery import Announced, announced_addresses

MACHINE = ("10.0.0.4", "fd00::4")


@pytest.mark.parametrize(
    ("configured", "host", "expected"),
    [
        ((), "0.0.0.0", ("10.0.0.4:7071", "[fd00::4]:7071")),
        ((), "::", ("10.0.0.4:7071", "[fd00::4]:7071")),
        ((), "127.0.0.1", ("127.0.0.1:7071",)),
        ((), "::1", ("[::1]:7071",)),
        (
            ("shop.example", "shop.example:443", "[fd00::9]"),
            "0.0.0.0",
            ("shop.example:7071", "shop.example:443", "[fd00::9]:7071"),
        ),
        (tuple(f"h{number}" for number in range(20)), "0.0.0.0", tuple(f"h{number}:7071" for number in range(8))),
    ],
)
def test_what_a_join_token_names(configured: tuple[str, ...], host: str, expected: tuple[str, ...]) -> None:
    assert advertised(configured, host, 7071, MACHINE) == expected


def test_a_machine_without_a_network_is_offered_to_itself() -> None:
    assert advertised((), "0.0.0.0", 7071, ()) == ("127.0.0.1:7071",)
    assert announced_addresses("0.0.0.0", ()) == ("127.0.0.1",)


def test_only_where_it_listens_it_is_announced() -> None:
    assert announced_addresses("0.0.0.0", MACHINE) == ("10.0.0.4",)
    assert announced_addresses("127.0.0.1", MACHINE) == ("127.0.0.1",)


def test_a_certificate_bears_what_people_dial() -> None:
    assert hosts_in_certificate(("shop",), "0.0.0.0", MACHINE) == ("shop", *MACHINE)
    assert hosts_in_certificate((), "127.0.0.1", MACHINE) == MACHINE
    assert hosts_in_certificate((), "10.0.0.9", ()) == ("10.0.0.9",)


def test_two_machines_with_equal_ports_are_told_apart() -> None:
    labels = {Announced(name, (), 7070, 7071, "", "").label for name in ("shop.example", "Büro 2", "")}
    assert labels == {"nearfield-shop-7070", "nearfield-b-ro-2-7070", "nearfield-host-7070"}


def test_this_machines_addresses_can_be_dialled_by_others() -> None:
    assert not [address for address in machine_addresses() if address.startswith(("127.", "169.254.", "fe80:"))]


@pytest.mark.parametrize(
    ("place", "addresses", "expected"),
    [
        ("0.0.0.0:7070", MACHINE, "10.0.0.4:7070"),
        ("[::]:7070", MACHINE[1:], "[fd00::4]:7070"),
        ("mqtts://0.0.0.0:8883", (), "mqtts://127.0.0.1:8883"),
        ("mqtts://broker.example:8883", MACHINE, "mqtts://broker.example:8883"),
        ("127.0.0.1:7070", MACHINE, "127.0.0.1:7070"),
    ],
)
def test_what_a_person_is_shown_can_be_dialled(place: str, addresses: tuple[str, ...], expected: str) -> None:
    assert reached(place, addresses) == expected
