"""A fresh installation on a LAN of its own, with nothing configured: which ports are open, and that none speaks plain
text. What must be open is what the reference pages declare.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.fleet import BIN, Fleet, fleet, until
from tests.e2e.sockets import Open, open_sockets

pytestmark = [pytest.mark.needs("unshare", "nsenter", "ip", "mosquitto"), pytest.mark.timeout(180)]
ADDRESS = "192.0.2.1"
NOTHING = ("", "ConnectionResetError", "BrokenPipeError", "TimeoutError")
NETWORK = (
    "ip link set lo up && ip link add lan type veth peer name wall && ip address add 192.0.2.1/24 dev lan && "
    'ip link set lan up && ip link set wall up && ip route add default dev lan && exec "$@"'
)
ON_A_LAN = ("unshare", "--net", "sh", "-c", NETWORK, "sh")
PROBE = """
import json, socket, ssl, sys
MQTT = bytes.fromhex("100f00044d51545404020005000378797a")  # CONNECT of nobody
HTTP2 = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # and SETTINGS

def answer(connection, port):
    try:
        connection.settimeout(3)
        connection.sendall(MQTT if port == 8883 else HTTP2)
        return connection.recv(64).hex()
    except ssl.SSLError:
        return "SSLError"
    except OSError as error:
        return type(error).__name__

def asked(port, encrypted):
    with socket.create_connection((sys.argv[1], port), 3) as plain:
        if not encrypted:
            return answer(plain, port)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"] if port != 8883 else ["mqtt"])
        with context.wrap_socket(plain) as inside:
            return answer(inside, port)

print(json.dumps({port: [asked(int(port), False), asked(int(port), True)] for port in sys.argv[2:]}))
"""


class Lan:
    """A coordinator as `edge-coordinator init` and `serve` make it, alone in a network."""

    def __init__(self, world: Fleet) -> None:
        self.world = world
        world.run("edge-coordinator", "init", "--dir", "coord")
        self.coordinator = world.start("coordinator", *ON_A_LAN, "edge-coordinator", "serve", "--dir", "coord")
        until(lambda: "coordinator " in self.coordinator.output(), "the coordinator's first line")
        self.inside = ("nsenter", f"--net=/proc/{self.coordinator.process.pid}/ns/net")

    def run(self, *command: str) -> str:
        """Run a command in the network; what it prints."""
        credentials = {"NEARFIELD_CREDENTIALS": str(self.world.folder / "coord" / "admin.pem")}
        path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [*self.inside, *command],
            capture_output=True,
            text=True,
            cwd=self.world.folder,
            env={**os.environ, **credentials, **path},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    if subprocess.run([*ON_A_LAN, "true"], capture_output=True).returncode:
        pytest.skip("no right to make a network namespace here")
    with fleet(tmp_path) as world:
        yield Lan(world)


def declared(page: str) -> set[tuple[str, int]]:
    """The table of open ports of a reference page."""
    text = (ROOT / "docs" / "reference" / page).read_text().split("\n## Open ports\n")[1].split("\n## ")[0]
    return {(protocol, int(port)) for port, protocol in re.findall(r"^\| `(\d+)` \| (tcp|udp) \|", text, re.MULTILINE)}


def reachable(sockets: set[Open]) -> set[tuple[str, int]]:
    """What others can send to."""
    return {(one.protocol, one.port) for one in sockets if not one.loopback}


def test_a_fresh_coordinator_opens_the_declared_ports_and_no_other(lan: Lan) -> None:
    pid = lan.coordinator.process.pid
    until(lambda: reachable(open_sockets(pid)) >= declared("coordinator.md"), "the declared ports")
    sockets = open_sockets(pid)
    assert {(one.protocol, one.port) for one in sockets} == declared("coordinator.md")


def test_no_port_speaks_plain_text_and_without_a_certificate_only_enrollment_answers(lan: Lan) -> None:
    ports = [str(port) for protocol, port in declared("coordinator.md") if protocol == "tcp"]
    said = json.loads(lan.run(sys.executable, "-c", PROBE, ADDRESS, *ports))
    for plain, _ in said.values():
        assert plain.startswith("15") or plain in NOTHING, "a TLS alert at most"
    assert said["7071"][1].startswith("0000"), "the control arm: where no certificate is asked, HTTP/2 answers"
    for port in ("7070", "8883"):
        assert said[port][1] in ("SSLError", *NOTHING), f"{port} let a stranger in"


def test_a_fresh_node_opens_no_port_but_the_declared(lan: Lan) -> None:
    printed = lan.run("edgectl", "node", "token", "create", "--site", "store-12")
    lan.run("edge-node", "enroll", printed.split()[-1], "--name", "cam-3", "--state-dir", "cam")
    node = lan.world.start("node", *lan.inside, "edge-node", "run", "--state-dir", "cam")
    until(lambda: lan.world.status("cam").get("link", {}).get("connected"), "the node to be connected")
    sockets = open_sockets(node.process.pid)
    assert {(one.protocol, one.port) for one in sockets} <= declared("node.md")
