"""Where a port is bound: names become addresses before the process is confined."""

import socket

import pytest

from edge_node.serving.binding import with_numbers
from edge_node.serving.settings import ServingSettings


@pytest.mark.parametrize(
    ("family", "place", "expected"),
    [
        (socket.AF_INET, ("192.0.2.7", 8000), "192.0.2.7:8000"),
        (socket.AF_INET6, ("2001:db8::7", 8000, 0, 0), "[2001:db8::7]:8000"),
    ],
)
def test_a_name_is_looked_up_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, family: int, place: tuple[object, ...], expected: str
) -> None:
    asked: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(family, socket.SOCK_STREAM, 6, "", place)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    given = ServingSettings("", grpc="[::1]:8001", http="camera.local:8000", metrics="")
    found = with_numbers(given)
    assert (found.grpc, found.http, found.metrics) == ("[::1]:8001", expected, "")
    assert asked == ["camera.local"]
    assert with_numbers(ServingSettings("", grpc="localhost:0", http="", metrics="")).grpc == "localhost:0"
