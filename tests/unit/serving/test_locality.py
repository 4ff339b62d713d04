"""Who is on this machine."""

import pytest

from edge_node.serving.locality import is_local


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True), ("127.0.0.1:80", True), ("ipv4:127.8.8.8:1", True), ("[::1]:5", True), ("::1", True),
        ("ipv6:[::1]:5", True), ("ipv6:%5B::1%5D:5", True), ("::ffff:127.0.0.1", True), ("unix:", True),
        ("unix:/run/x", True), ("10.0.0.1:1", False), ("[fe80::1]:3", False), ("::ffff:10.0.0.1", False), ("", False),
        ("localhost", False), ("127.0.0.1.example:1", False),
    ],
)  # fmt: skip
def test_who_is_on_this_machine(address: str, local: bool) -> None:
    assert is_local(address) is local
