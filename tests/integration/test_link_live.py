"""Live results on the site's own broker: TLS, user name and password, a will, and no backlog."""

import asyncio
import queue
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge_node.config import LiveSink
from edge_node.errors import BadInput
from edge_node.link.address import live_broker
from edge_node.link.live import Live, SiteBroker
from edge_node.link.session import Backoff
from protos import deployment
from protos.identity import NodeId
from protos.result import Classified
from protos.topics import Topics
from tests.authorities import Authority
from tests.integration.brokers import WAIT_S, RealMosquitto, mosquitto, password_file
from tests.open_gate import OpenGate

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_passwd")

NODE = NodeId("0123456789abcdef" * 2)
AVAILABILITY = Topics().availability("store-12", "cam-3")
SHELF = Topics().live("store-12", "cam-3", "shelf")
QUICK = Backoff(shortest_s=0.05, longest_s=0.2, refused_s=0.1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RealMosquitto]:
    """A Mosquitto with TLS that wants a password."""
    files = Authority(tmp_path).issue("127.0.0.1", server=True)
    passwords = password_file(tmp_path, site="secret")
    (tmp_path / "password").write_text("secret\n")
    tls = f"cafile {files.ca}\ncertfile {files.certificate}\nkeyfile {files.key}"
    with mosquitto(tmp_path, f"{tls}\nallow_anonymous false\npassword_file {passwords}") as running:
        yield running


@pytest.fixture
def subscriber(broker: RealMosquitto) -> Iterator["queue.Queue[MQTTMessage]"]:
    """What a plain client of the site's broker sees."""
    received: queue.Queue[MQTTMessage] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("site", "secret")
    client.tls_set_context(ssl.create_default_context(cafile=str(broker.folder / "ca.pem")))
    subscribed = threading.Event()

    @client.connect_callback()
    def subscribe(*_: object) -> None:
        client.subscribe("edge/v1/live/#", 1)

    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: received.put(message)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert subscribed.wait(WAIT_S)
    yield received
    client.disconnect()
    client.loop_stop()


def sink_of(broker: RealMosquitto, **changes: str | None) -> LiveSink:
    sink = LiveSink(
        url=f"mqtts://127.0.0.1:{broker.port}",
        username="site",
        password_file=str(broker.folder / "password"),
        ca_file=str(broker.folder / "ca.pem"),
    )
    return msgspec.structs.replace(sink, **changes)


class Site:
    """A `Live` on a site broker, wired as the agent wires it."""

    def __init__(self, sink: LiveSink) -> None:
        self.connected = asyncio.Event()
        broker = live_broker(sink)
        assert broker is not None
        self.broker = SiteBroker(
            broker, NODE, AVAILABILITY, on_connected=self.on_connected, backoff=QUICK, gate=OpenGate()
        )
        self.live = Live(self.broker, Topics(), "store-12", "cam-3")

    def on_connected(self) -> None:
        self.live.on_connected()
        self.connected.set()


async def test_results_arrive_over_tls_with_a_password(
    broker: RealMosquitto, subscriber: "queue.Queue[MQTTMessage]"
) -> None:
    site = Site(sink_of(broker))
    await site.broker.start()
    await asyncio.wait_for(site.connected.wait(), WAIT_S)
    wanted = deployment.Live(qos=1, state=("label",))
    site.live.publish("shelf", wanted, b'{"seq":1}', [Classified("macaw", 0.9, 1)], stored=True)
    seen = [await asyncio.to_thread(subscriber.get, timeout=WAIT_S) for _ in range(3)]
    assert [(message.topic, message.payload) for message in seen] == [
        (AVAILABILITY, b"online"),
        (SHELF, b'{"seq":1}'),
        (f"{SHELF}/label", b"macaw"),
    ]
    await site.broker.stop()
    last = await asyncio.to_thread(subscriber.get, timeout=WAIT_S)
    assert (last.topic, last.payload) == (AVAILABILITY, b"offline")


async def test_the_will_says_that_the_node_is_gone(
    broker: RealMosquitto, subscriber: "queue.Queue[MQTTMessage]"
) -> None:
    site = Site(sink_of(broker))
    await site.broker.start()
    await asyncio.wait_for(site.connected.wait(), WAIT_S)
    assert (await asyncio.to_thread(subscriber.get, timeout=WAIT_S)).payload == b"online"
    connection = site.broker._keeper._connection
    assert connection is not None
    assert connection._client is not None
    connection._client.socket().shutdown(2)  # type: ignore[union-attr]
    assert (await asyncio.to_thread(subscriber.get, timeout=WAIT_S)).payload == b"offline"
    assert (await asyncio.to_thread(subscriber.get, timeout=WAIT_S)).payload == b"online"
    await site.broker.stop()


async def test_an_outage_leaves_no_backlog(broker: RealMosquitto) -> None:
    site = Site(sink_of(broker))
    await site.broker.start()
    await asyncio.wait_for(site.connected.wait(), WAIT_S)
    broker.kill()
    async with asyncio.timeout(WAIT_S):
        while site.broker.connected:  # noqa: ASYNC110 (no event for it)
            await asyncio.sleep(0.01)
    for _ in range(100):
        site.live.publish("shelf", deployment.Live(qos=1), b"yesterday", [], stored=True)
    assert site.live.dropped == 100
    site.connected.clear()
    await asyncio.to_thread(broker.start)
    await asyncio.wait_for(site.connected.wait(), WAIT_S)
    site.live.publish("shelf", deployment.Live(qos=1), b"today", [], stored=True)
    assert site.live.published == 1
    await site.broker.stop()


@pytest.mark.filterwarnings(  # paho leaves the socket of a failed TLS handshake to the garbage collector
    "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"ca_file": None}, "the broker at mqtts://site@127.0.0.1:"),
        ({"username": "stranger"}, "the broker at mqtts://stranger@127.0.0.1:"),
    ],
)
async def test_what_the_broker_or_we_refuse_is_one_line(
    broker: RealMosquitto, changes: dict[str, str | None], state: str
) -> None:
    site = Site(sink_of(broker, **changes))
    await site.broker.start()
    async with asyncio.timeout(WAIT_S):
        while not site.broker.state.startswith(state):  # noqa: ASYNC110 (no event for it)
            await asyncio.sleep(0.01)
    assert "\n" not in site.broker.state
    await site.broker.stop()


@pytest.mark.parametrize(
    ("sink", "complaint"),
    [
        (LiveSink("mqtt://127.0.0.1", password_file="/nowhere"), "live.password_file /nowhere cannot be read"),
        (LiveSink("mqtts://127.0.0.1", ca_file="/nowhere"), "live.ca_file /nowhere cannot be read"),
        (LiveSink("mqtt://10.0.0.1"), "live: broker mqtt://10.0.0.1:1883 is not on the loopback interface"),
        (LiveSink("http://x"), "live: 'http://x' is not a broker URL"),
    ],
)
def test_a_sink_that_cannot_be_is_one_line(sink: LiveSink, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        live_broker(sink)
