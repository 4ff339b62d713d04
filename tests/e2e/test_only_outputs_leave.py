"""Only outputs leave a node: it runs in a network namespace with one way out, and every byte on it is recorded.

What is looked at: on the wire, that there is nothing but TLS to the coordinator's ports, and how many bits a second;
behind TLS, every message that its broker passes on, for the content of frames. The control arm, a node without a
gate, shows that the detector finds a frame.
"""

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protos.packing import unpacked
from tests.e2e.fleet import INSPECTION, Child, Fleet, bundle, fleet, until
from tests.e2e.frame_content import evidence
from tests.e2e.one_way_out import ARP, IPV6, TCP, Packet, Recorder, Way, one_way_out, streams
from tests.e2e.watched_coordinator import WATCHED

pytestmark = [pytest.mark.needs("unshare", "nsenter", "ip", "mosquitto", "mosquitto_sub"), pytest.mark.timeout(240)]

CLIP = INSPECTION.parent / "clip" / "line.mp4"
STEADY_S = 30.0
DIRECT_S = 15.0
MOST_KBIT_S = 5.0
"""Per camera, at one result a second."""
MOST_DIRECT_KBIT_S = 14.0
"""The same where the node publishes live results itself, beside the durable ones."""
TLS_AND_MQTT = 40
"""Bytes around a message's topic and payload."""
UNEXPLAINED = 16 * 1024
"""Handshakes, certificates, a few calls of gRPC: less than a small picture."""


@dataclass
class Site:
    """A node behind one way out, with its coordinator on the other end."""

    world: Fleet
    coordinator: Child
    way: Way
    recorder: Recorder
    said: Child
    """every message that the broker passed on"""

    def begin(self, video: Path, model: str, *command: str, options: tuple[str, ...] = ()) -> None:
        """Start the node on a film, one result a second, and wait until it serves."""
        world, here = self.world, self.way.here
        world.run("edge-node", "enroll", world.token("cam-3").read_text(), "--state-dir", str(world.folder / "cam-3"))
        source = f"shelf={video},loop=true,fps=1"
        ports = (
            "--coordinator",
            f"{here}:{world.address.rpartition(':')[2]}",
            "--broker",
            f"mqtts://{here}:{world.broker_port}",
        )
        state = ("--state-dir", str(world.folder / "cam-3"))
        world.start("cam-3", *self.way.inside, *command, "run", *state, "--source", source, *ports, *options)
        deployment = world.folder / "shelf.yaml"
        deployment.write_text(
            f"name: shelf\nselector: site=store-12\nmodel: {model}\npipelines:\n  - name: shelf\n    source: shelf\n"
        )
        world.run("edgectl", "deployment", "apply", str(deployment))
        until(lambda: world.serving() == {"shelf": 1}, "version 1 to serve")

    def messages(self) -> list[tuple[str, bytes]]:
        """What the node has said, as the broker passed it on, behind TLS."""
        return [(topic, unpacked(payload)) for topic, payload in self.as_sent()]

    def as_sent(self) -> list[tuple[str, bytes]]:
        """The same as they travelled."""
        lines = re.findall(r"^(\S+) ([0-9a-f]*)\n", self.said.output(), re.MULTILINE)
        return [
            (topic, bytes.fromhex(payload)) for topic, payload in lines if not topic.endswith(("/desired", "/acked"))
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with fleet(tmp_path) as world, one_way_out() as way, Recorder(way.interface) as recorder:
        ports = ("--port", "0", "--enroll-port", "0", "--broker-port", "0")
        world.run("edge-coordinator", "init", "--dir", "coord", "--host", "0.0.0.0", *ports, "--no-announce")
        coordinator = world.coordinate(under=WATCHED)
        said = world.start("said", "mosquitto_sub", *world.observer_login(), "-t", "#", "-F", "%t %x")
        yield Site(world, coordinator, way, recorder, said)


def steady(site: Site, lasting_s: float = STEADY_S) -> tuple[list[Packet], float]:
    """The packets of a while in which nothing but results happens, and how long that was."""
    time.sleep(5.0)
    begun = time.monotonic()
    time.sleep(lasting_s)
    ended = time.monotonic()
    return [packet for packet in site.recorder.packets() if begun <= packet.at <= ended], ended - begun


def kbit_s(packets: list[Packet], seconds: float, *, upwards: bool) -> float:
    """What the packets of a direction amount to, headers of IP and TCP included."""
    return sum(packet.size for packet in packets if packet.upwards is upwards) * 8 / seconds / 1000


def stays_on_the_link(packet: Packet) -> bool:
    """Finding a neighbour or a coordinator: ARP, IPv6's own, and multicast that no router passes on (RFC 5771)."""
    return packet.protocol in (ARP, IPV6) or packet.payload[16:19] == bytes((224, 0, 0))


def check_wire(site: Site) -> None:
    """From beginning to end the node sends TLS to the coordinator's ports, nothing else but finding its neighbour, and
    no more of it than its messages explain.
    """
    packets = [packet for packet in site.recorder.packets() if packet.upwards]
    others = [packet for packet in packets if packet.protocol != TCP]
    assert [packet for packet in others if not stays_on_the_link(packet)] == []
    assert sum(packet.size for packet in others) < UNEXPLAINED
    known = {int(port) for port in re.findall(r"\d:(\d+) ", site.coordinator.output())}
    for (_, ports), content in streams(packets).items():
        assert ports[1] in known, f"to port {ports[1]}: {content[:80]!r}"
        assert content[:2] == b"\x16\x03", f"no TLS handshake: {content[:16]!r}"
    carried = sum(map(len, streams(packets).values()))
    own = [(topic, payload) for topic, payload in site.as_sent() if not topic.endswith("/shelf")]  # that is relayed
    explained = sum(len(topic) + len(payload) + TLS_AND_MQTT for topic, payload in own)
    assert carried - explained < UNEXPLAINED


def found_in(messages: list[tuple[str, bytes]]) -> dict[str, list[str]]:
    """The evidence of frames, by topic."""
    return {topic: why for topic, payload in messages if (why := evidence(payload))}


@pytest.mark.parametrize("film", ["demo", "cockatoo"])
def test_nothing_of_a_frame_leaves_and_little_else(site: Site, film: str, request: pytest.FixtureRequest) -> None:
    """As a node is by default: its results are in the store, and live for whoever subscribes to the coordinator's."""
    if film == "demo":
        site.world.run("edgectl", "model", "push", str(INSPECTION))
        video, model = CLIP, "inspection@1"
    else:
        data: Path = request.getfixturevalue("data")
        bundle(site.world, data, "bundle")
        site.world.run("edgectl", "model", "push", str(site.world.folder / "bundle"))
        video, model = data / "video" / "cockatoo.mp4", "mobilenet-v2@1"
    site.begin(video, model, "edge-node")
    packets, seconds = steady(site)
    up, down = kbit_s(packets, seconds, upwards=True), kbit_s(packets, seconds, upwards=False)
    print(f"\n{film}: {up:.2f} kbit/s up, {down:.2f} kbit/s down")
    check_wire(site)
    messages = site.messages()
    for results in ("/durable", "/live/store-12/cam-3/shelf"):
        assert sum(topic.endswith(results) for topic, _ in messages) >= STEADY_S - 2
    assert found_in(messages) == {}
    assert up <= MOST_KBIT_S


def test_a_node_that_publishes_live_results_itself_sends_each_of_them_twice(site: Site) -> None:
    """The control arm of the relay: what it saves is measured on the same wire."""
    site.world.run("edgectl", "model", "push", str(INSPECTION))
    config = site.world.folder / "edge-node.toml"
    config.write_text('[live]\nuplink = "direct"\n', encoding="utf-8")
    site.begin(CLIP, "inspection@1", "edge-node", options=("--config", str(config)))
    up = kbit_s(*steady(site, DIRECT_S), upwards=True)
    print(f"\ndirect: {up:.2f} kbit/s up")
    ids = [json.loads(payload)["id"] for topic, payload in site.messages() if topic.endswith("/shelf")]
    assert len(ids) == len(set(ids)) >= DIRECT_S - 2, "nobody else publishes them"
    assert MOST_KBIT_S < up <= MOST_DIRECT_KBIT_S


def test_the_detector_finds_the_frames_of_a_node_without_a_gate(site: Site) -> None:
    site.world.run("edgectl", "model", "push", str(INSPECTION))
    site.begin(CLIP, "inspection@1", sys.executable, "-m", "tests.e2e.leaking_node", str(CLIP))
    until(lambda: [topic for topic, _ in site.messages() if topic.endswith("/shelf")], "a frame to leave")
    assert any("JPEG" in line for why in found_in(site.messages()).values() for line in why)


def test_the_node_tells_how_much_stayed(site: Site) -> None:
    site.world.run("edgectl", "model", "push", str(INSPECTION))
    site.begin(CLIP, "inspection@1", "edge-node")
    show = ("edgectl", "node", "show", "cam-3", "--json")

    def told() -> dict[str, Any] | None:
        traffic: dict[str, Any] | None = json.loads(site.world.run(*show))["traffic"]
        return traffic if traffic and traffic["bytes_in"] else None

    shown = until(told, "metrics")
    assert shown["by_kind"]["durable"] > 0
    status = site.world.status()["bytes"]
    assert status["refused"] == {}
    assert status["pipelines"]["shelf"] > 0
