"""A broker that lets in nobody without a certificate: both sides log in with one."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from coordinator.config import CoordinatorConfig
from coordinator.link.broker import BrokerClient, broker_of
from edge_node.config import BrokerLogin
from edge_node.errors import BadInput
from edge_node.link.address import uplink_broker
from edge_node.link.mqtt import Uplink
from edge_node.link.session import Backoff
from protos.identity import NodeId
from protos.topics import Topics
from tests.authorities import Authority
from tests.integration.brokers import RealMosquitto, mosquitto
from tests.waiting import until

pytestmark = pytest.mark.needs("mosquitto")

NODE = NodeId("0123456789abcdef" * 2)
QUICK = Backoff(shortest_s=0.05, longest_s=0.2, refused_s=0.1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[RealMosquitto]:
    """A Mosquitto that takes its user names from certificates."""
    files = authority.issue("127.0.0.1", server=True)
    lines = [f"cafile {files.ca}", f"certfile {files.certificate}", f"keyfile {files.key}", "require_certificate true"]
    with mosquitto(tmp_path, "\n".join([*lines, "use_identity_as_username true"])) as running:
        yield running


@pytest.fixture
def login(authority: Authority) -> dict[str, str]:
    files = authority.issue(NODE)
    return {"ca_file": str(files.ca), "cert_file": str(files.certificate), "key_file": str(files.key)}


def node_of(broker: RealMosquitto, login: BrokerLogin) -> Uplink:
    address = uplink_broker(f"mqtts://127.0.0.1:{broker.port}", login)
    return Uplink(address, NODE, Topics(), on_connected=lambda _: None, on_message=lambda *_: None, backoff=QUICK)


async def test_a_node_logs_in_with_its_certificate(broker: RealMosquitto, login: dict[str, str]) -> None:
    uplink = node_of(broker, BrokerLogin(**login))
    await uplink.start()
    await until(lambda: uplink.connected)
    await uplink.stop()


async def test_a_node_without_one_is_kept_out_and_says_so(broker: RealMosquitto, login: dict[str, str]) -> None:
    uplink = node_of(broker, BrokerLogin(ca_file=login["ca_file"]))
    before = uplink.state
    await uplink.start()
    await until(lambda: uplink.state != before)
    assert not uplink.connected
    await uplink.stop()


async def test_the_coordinator_logs_in_with_its_certificate(broker: RealMosquitto, login: dict[str, str]) -> None:
    files = {f"broker_{key}": file for key, file in login.items()}
    address = broker_of(msgspec.convert({"broker": f"mqtts://127.0.0.1:{broker.port}", **files}, CoordinatorConfig))
    assert address is not None
    client = BrokerClient(address)
    await client.start()
    await until(lambda: client.connected)
    await client.stop()


@pytest.mark.parametrize(
    ("url", "files", "complaint"),
    [
        ("mqtts://127.0.0.1:1", {"cert_file": "here.pem"}, "a certificate and its key go together"),
        ("mqtt://127.0.0.1:1", {"cert_file": "here.pem", "key_file": "here.pem"}, "a certificate needs TLS"),
        ("mqtts://127.0.0.1:1", {"cert_file": "gone.pem", "key_file": "here.pem"}, "uplink.cert_file gone.pem cannot"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, files: dict[str, str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.pem").touch()
    with pytest.raises(BadInput, match=complaint):
        uplink_broker(url, BrokerLogin(**files))
