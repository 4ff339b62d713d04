"""What a broker retains, told by a message that comes behind all of it: no broker is too slow for that."""

import threading
from collections.abc import Callable
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

FENCE = "tests/behind-what-is-retained"
PATIENCE_S = 30.0

Files = tuple[Path, Path, Path]
"""authorities, certificate, key"""


def retained(topic: str, port: int, files: Files | None = None) -> dict[str, bytes]:
    """Every retained message of a broker on this machine; who asks must be allowed to publish the fence.

    A broker sends what it retains when it takes a subscription, and one subscriber's messages of QoS 0 in their order.
    """
    found: dict[str, bytes] = {}
    reached = threading.Event()

    def heard(_client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == FENCE:
            reached.set()
        elif message.retain:
            found[message.topic] = bytes(message.payload)

    client = Client(CallbackAPIVersion.VERSION2)
    if files is not None:
        authorities, certificate, key = map(str, files)
        client.tls_set(authorities, certificate, key)

    def connected(*_: object) -> None:
        client.subscribe([(topic, 0), (FENCE, 0)])

    def subscribed(*_: object) -> None:
        client.publish(FENCE, b"")

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, heard
    _while_it_runs(client, port, lambda: reached.wait(PATIENCE_S))
    assert reached.is_set(), f"the broker at port {port} did not answer within {PATIENCE_S:.0f} s"
    return found


def _while_it_runs(client: Client, port: int, wait: Callable[[], object]) -> None:
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        wait()
    finally:
        client.disconnect()
        client.loop_stop()
