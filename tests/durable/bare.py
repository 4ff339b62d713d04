"""Plain paho, as fast as it goes: the control arm of the durable benchmark.

python -m tests.durable.bare PORT TOPIC BYTES COUNT CA CERTIFICATE KEY
"""

import sys

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion


def main(port: int, topic: str, size: int, count: int, ca: str, certificate: str, key: str) -> None:
    """Publish `count` messages of `size` bytes with QoS 1, and wait for the last acknowledgement."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1000)
    client.tls_set(ca, certificate, key)
    client.connect("127.0.0.1", port)
    client.loop_start()
    payload = b"x" * size
    handles = [client.publish(topic, payload, 1) for _ in range(count)]
    handles[-1].wait_for_publish(120)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
