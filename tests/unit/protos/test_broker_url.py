"""Broker addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.broker_url import Broker, is_loopback, parse_broker_url
from protos.errors import ContractError


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("mqtt://127.0.0.1", Broker("127.0.0.1", 1883)),
        ("mqtt://localhost:1884/", Broker("localhost", 1884)),
        ("mqtt://[::1]:1883", Broker("::1", 1883)),
        ("mqtts://broker.example", Broker("broker.example", 8883, tls=True)),
        ("mqtts://u:p%40ss@10.0.0.1:1", Broker("10.0.0.1", 1, tls=True, username="u", password="p@ss")),
    ],
)
def test_urls(text: str, broker: Broker) -> None:
    assert parse_broker_url(text) == broker


def test_a_user_beside_the_url_wins() -> None:
    broker = parse_broker_url("mqtts://u:p@10.0.0.1", username="site", password="secret")
    assert (broker.username, broker.password) == ("site", "secret")


def test_the_password_never_shows() -> None:
    broker = parse_broker_url("mqtts://u:hidden@broker.example")
    assert "hidden" not in repr(broker) + broker.safe_url
    assert broker.safe_url == "mqtts://u@broker.example:8883"


@pytest.mark.parametrize(
    "text",
    ["mqtt://10.0.0.1", "mqtt://broker.example:1883", "mqtt://0.0.0.0", "mqtt://[fe80::1]", "mqtt://u:p@10.0.0.1"],
)
def test_plaintext_stays_on_this_machine_unless_it_is_wanted(text: str) -> None:
    with pytest.raises(ContractError, match="not on the loopback interface: write mqtts://"):
        parse_broker_url(text)
    assert not parse_broker_url(text, plaintext=True).tls


@pytest.mark.parametrize(
    "text",
    ["", "broker", "127.0.0.1:1883", "http://localhost", "mqtt://", "mqtt://[", "mqtt://localhost/x", "mqtt://h:x"],
)
def test_what_is_no_url_is_one_line(text: str) -> None:
    with pytest.raises(ContractError, match="expected mqtt://HOST:PORT or mqtts://HOST:PORT") as refusal:
        parse_broker_url(text)
    assert "\n" not in str(refusal.value)


def test_a_bad_url_does_not_show_its_password() -> None:
    with pytest.raises(ContractError) as refusal:
        parse_broker_url("http://u:hidden@localhost")
    assert "hidden" not in str(refusal.value)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for url in (text, f"mqtt://{text}", f"mqtts://{text}"):
        try:
            broker = parse_broker_url(url)
        except ContractError:
            continue
        assert broker.tls or is_loopback(broker.host)
        assert 0 < broker.port < 65536


@pytest.mark.parametrize(("host", "expected"), [("localhost", True), ("127.1.2.3", True), ("::1", True), ("::", False)])
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
