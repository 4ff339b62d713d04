"""Durable results: one node through a real Mosquitto to rows committed in SQLite, and bare paho on the same broker.

Both arms have TLS and certificates on both sides.

Node, broker and collector are processes of their own, with the real outbox (full synchronization), links and store. A
result counts when its acknowledgement, sent after the collector's commit, is back at the node. The control arm
moves the same bytes with one paho client to another (QoS 1, nothing kept anywhere), and counts arrivals.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge_node.link.tls import Credentials
from edge_node.outbox.events import encode_result
from protos.envelope import public_bytes
from protos.identity import StreamId
from tests.benchmarks.figures import Figure
from tests.durable.node import DurableNode, draft
from tests.durable.world import World

LIVE = 20_000
BACKLOG = 100_000
BATCH = 100
"""Events in a message of the control arm of catching up: about 85 KB."""
CHUNK = 1_000
NEVER_BATCH = 10**9
BARE = "bench/bare"
WAIT_S = 60.0


def measure(_data: Path) -> list[Figure]:
    """Rates, and each as a ratio to the control arm of the same run."""
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if mosquitto is None:
        return []
    event = encode_result(draft("r-0"), StreamId("c" * 32), 1)
    with _world(mosquitto) as world:
        bare_live = _bare(world, len(event) + 2, LIVE)
        bare_batches = _bare(world, (len(event) + 1) * BATCH + 1, BACKLOG // BATCH) * BATCH
    with _world(mosquitto) as world:
        live = asyncio.run(_live(world))
    with _world(mosquitto) as world:
        catching_up = asyncio.run(_catching_up(world))
    size = f"{len(event)} bytes each"
    return [
        Figure("durable", "live, one result per message", live, "/s", ">= 5000", size),
        Figure("durable", "live ÷ paho to paho", live / bare_live, "", note=f"bare: {bare_live:,.0f}/s"),
        Figure("durable", "catching up, in batches", catching_up, "/s", ">= 50000", size),
        Figure(
            "durable", "catching up ÷ paho to paho", catching_up / bare_batches, "", note=f"bare: {bare_batches:,.0f}/s"
        ),
    ]


@contextmanager
def _world(mosquitto: str) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), mosquitto) as world:
        yield world


async def _live(world: World) -> float:
    """Results a second, from being offered to being acknowledged, with a message for each."""
    node = DurableNode(world.folder / "node", world.port, public_bytes(world.key), _credentials(world), NEVER_BATCH)
    await node.outbox.open()
    await node.connect()
    begun = time.perf_counter()
    for _ in range(LIVE // CHUNK):
        node.outbox.submit([draft("r") for _ in range(CHUNK)])
        await asyncio.sleep(0)
    await _until(lambda: node.forwarder.through >= LIVE)
    rate = LIVE / (time.perf_counter() - begun)
    await node.stop()
    return rate


async def _catching_up(world: World) -> float:
    """Results a second, from the outbox's disk to being acknowledged, after a time without a connection."""
    node = DurableNode(world.folder / "node", world.port, public_bytes(world.key), _credentials(world))
    await node.outbox.open()
    for number in range(1, BACKLOG // CHUNK + 1):
        node.outbox.submit([draft("r") for _ in range(CHUNK)])
        await _until(lambda: node.outbox.last_seq >= number * CHUNK)  # noqa: B023 (awaited here)
    await node.connect()
    begun = time.perf_counter()
    await _until(lambda: node.forwarder.through >= BACKLOG)
    rate = BACKLOG / (time.perf_counter() - begun)
    await node.stop()
    return rate


def _credentials(world: World) -> Credentials:
    return Credentials(str(world.files.certificate), str(world.files.key), str(world.files.ca))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (a benchmark: no event, nothing added to what is measured)
            await asyncio.sleep(0.002)


def _bare(world: World, size: int, count: int) -> float:
    """Messages a second from one paho client to another, in two processes."""
    arrived, began, over = 0, 0.0, threading.Event()

    def on_message(*_: object) -> None:
        nonlocal arrived, began
        began = began or time.perf_counter()
        arrived += 1
        if arrived == count:
            over.set()

    subscriber, subscribed = Client(CallbackAPIVersion.VERSION2), threading.Event()
    subscriber.on_message = on_message
    subscriber.on_subscribe = lambda *_: subscribed.set()
    subscriber.tls_set(str(world.files.ca), str(world.files.certificate), str(world.files.key))
    subscriber.connect("127.0.0.1", world.port)
    subscriber.loop_start()
    subscriber.subscribe(BARE, 1)
    subscribed.wait(WAIT_S)
    command = [
        sys.executable,
        "-m",
        "tests.durable.bare",
        str(world.port),
        BARE,
        str(size),
        str(count),
        *world.tls()[1:],
    ]
    with subprocess.Popen(command) as publisher:
        arrived_all = over.wait(WAIT_S)
        rate = count / (time.perf_counter() - began)
        publisher.kill()
    subscriber.disconnect()
    subscriber.loop_stop()
    return rate if arrived_all else 0.0
