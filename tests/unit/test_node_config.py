"""The node's configuration: what cannot be meant is refused by its key."""

from pathlib import Path

import pytest

from edge_node.config import EgressLimits, LiveSink, live_way, read_config
from edge_node.errors import BadInput


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("threads = 0", "threads"),
        ("threads = 257", "threads"),
        ("threads = 2.5", "threads"),
        ("[sources.shelf]\nurl = '/f'\nfps = 0", "fps"),
        ("[sources.shelf]\nurl = '/f'\nfps = -1.5", "fps"),
        ("[sources.shelf]\nurl = 3", r"sources\.shelf: 'url' must be text"),
        ("[sources.shelf]\nurl = '/f'\nfbs = 3", r"sources\.shelf: unknown key 'fbs'; did you mean 'fps'"),
        ("sources = 3", "sources"),
        ("sources = {shelf = 3}", r"sources\.shelf"),
        ("live = 3", "live"),
        ("[outbox]\nmax_bytes = 0", "outbox.max_bytes"),
        ("[outbox]\nmax_age_s = -1", "outbox.max_age_s"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_by_its_key(text: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "edge-node.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=key) as refusal:
        read_config(file, {"name": "cam"})
    assert str(refusal.value).startswith(str(file))
    assert "\n" not in str(refusal.value)


def test_what_the_command_line_says_of_the_live_broker_goes_on_top_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "edge-node.toml"
    file.write_text("[live]\nurl = 'mqtt://127.0.0.1:1'\nusername = 'file'", encoding="utf-8")
    config = read_config(file, {"name": "cam", "live": {"username": "line"}})
    assert config.live == LiveSink("mqtt://127.0.0.1:1", username="line")


@pytest.mark.parametrize(
    ("live", "complaint"),
    [
        ({"username": "line"}, "live: a login without a broker: give its url"),
        ({"uplink": "direct", "ca_file": "/ca.pem"}, "live: a login without a broker: give its url"),
        ({"plaintext": True}, "live: a login without a broker: give its url"),
        ({"url": "mqtt://127.0.0.1", "uplink": "direct"}, 'live: a broker of its own and uplink = "direct"'),
        ({"uplink": "both"}, "live.uplink"),
    ],
)
def test_what_cannot_be_of_live_results_is_refused(live: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as refusal:
        read_config(None, {"name": "cam", "live": live})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("live", "egress", "way"),
    [
        (LiveSink(), EgressLimits(), "relayed"),
        (LiveSink(uplink="direct"), EgressLimits(), "direct"),
        (LiveSink("mqtt://127.0.0.1"), EgressLimits(), "site"),
        (LiveSink("mqtt://127.0.0.1"), EgressLimits(live=False), "off"),
        (LiveSink(), EgressLimits(live=False), "off"),
    ],
)
def test_how_live_results_reach_their_subscribers(live: LiveSink, egress: EgressLimits, way: str) -> None:
    assert live_way(live, egress) == way


@pytest.mark.parametrize("threads", [1, 256])
def test_threads_within_their_bounds_are_taken(threads: int) -> None:
    assert read_config(None, {"name": "cam", "threads": threads}).threads == threads
