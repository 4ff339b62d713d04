"""A node reduced to its durable way: offers numbered results, and says on standard output which were accepted.

    python -m tests.durable.node FOLDER PORT PUBLIC_KEY_HEX --tls CA CERTIFICATE KEY --label a --offer 1000

Accepted is what the outbox has committed; each is one line, `<stream>/<seq> <label>-<number>`, written at once. After
the last one it goes on sending until it is killed. `--plain` is the control arm: no outbox, paho's QoS 1 alone;
accepted is what paho has taken.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from edge_node.config import OutboxLimits
from edge_node.link.mqtt import Uplink
from edge_node.link.tls import Credentials, node_context
from edge_node.link.validity import UNKNOWN
from edge_node.outbox.acked import accept_acked
from edge_node.outbox.events import Draft, PipelineContext, encode_result
from edge_node.outbox.forwarder import BACKLOG, Forwarder
from edge_node.outbox.ledger import Committed
from edge_node.outbox.queue import Outbox
from edge_node.pipeline.observation import Observation
from protos.broker_url import Broker
from protos.digest import digest_of
from protos.identity import NodeId, StreamId
from protos.result import Classified, Frame, LatencyMs
from protos.topics import Kind, NodeTopic, Topics

NODE = NodeId("a" * 32)
TOPICS = Topics()
DURABLE = TOPICS.of_node(NODE, Kind.DURABLE)
CONTEXT = PipelineContext(
    node=NODE,
    site="store-12",
    name="cam-3",
    model="mobilenet-v2",
    version=3,
    digest=digest_of(b"a bundle"),
    engine="litert",
    accelerator="cpu",
    topic=TOPICS.live("store-12", "cam-3", "shelf"),
)


def draft(label: str, context: PipelineContext = CONTEXT) -> Draft:
    """A classification of an ordinary size, recognizable by its label."""
    seen = Observation(
        pipeline="shelf",
        session="mobilenet-v2-3",
        captured_ns=time.time_ns(),
        latency_ms=LatencyMs(queue=0.1, preprocess=1.2, infer=6.9, postprocess=0.1),
        task="classification",
        outputs=(Classified(label=label, score=0.996, index=88),),
        stream_time_s=12.35,
        frame=Frame(width=1280, height=720),
    )
    return Draft(seen, context)


def label_of(committed: Committed) -> str:
    """The label that the result was offered with."""
    output = committed.draft.observation.outputs[0]
    assert isinstance(output, Classified)
    return output.label


class DurableNode:
    """Outbox, forwarder and uplink, wired as the agent wires them."""

    def __init__(self, folder: Path, port: int, trusted: bytes, files: Credentials, backlog: int = BACKLOG) -> None:
        self.outbox = Outbox(folder / "outbox.db", OutboxLimits())
        self._folder, self._port, self._trusted, self._backlog = folder, port, frozenset({trusted}), backlog
        self._files = files

    async def connect(self) -> None:
        """Begin to connect and to send; the outbox is open."""
        self.uplink = Uplink(
            Broker("127.0.0.1", self._port, tls=True),
            NODE,
            TOPICS,
            on_connected=lambda _: self.forwarder.connected(),
            on_message=self._on_message,
            tls=lambda: node_context(self._files, lambda: UNKNOWN),
        )
        self.forwarder = Forwarder(self.outbox, self.uplink.publish, node=NODE, topic=DURABLE, backlog=self._backlog)
        await self.uplink.start()
        self._sending = asyncio.create_task(self.forwarder.run())

    async def stop(self) -> None:
        """End without waiting for what is not acknowledged."""
        self._sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sending
        await self.uplink.stop()
        await self.outbox.close()

    def _on_message(self, topic: NodeTopic, payload: bytes) -> None:
        if (
            topic.kind is Kind.ACKED
            and (through := accept_acked(payload, self._trusted, self.outbox.stream)) is not None
        ):
            self.forwarder.acked(through)


def report(committed: Sequence[Committed], stream: StreamId) -> None:
    """Tell the recorder what is accepted."""
    lines = [f"{stream}/{result.seq} {label_of(result)}\n" for result in committed if result.stored]
    sys.stdout.write("".join(lines))
    sys.stdout.flush()


async def offer(node: DurableNode, label: str, count: int, rate: float) -> None:
    """Offer results at an even rate."""
    begun = time.monotonic()
    for number in range(count):
        node.outbox.submit([draft(f"{label}-{number}")])
        if (ahead := number / rate - (time.monotonic() - begun)) > 0:
            await asyncio.sleep(ahead)


def credentials(files: Sequence[str]) -> Credentials:
    """The node's, of what its command line says."""
    authorities, certificate, key = files
    return Credentials(certificate, key, authorities)


async def run(arguments: argparse.Namespace) -> None:
    """The node, until it is killed."""
    node = DurableNode(
        arguments.folder, arguments.port, bytes.fromhex(arguments.public_key), credentials(arguments.tls)
    )
    node.outbox.on_committed = lambda committed: report(committed, node.outbox.stream)
    await node.outbox.open()
    await node.connect()
    await offer(node, arguments.label, arguments.offer, arguments.rate)
    await asyncio.Event().wait()


async def run_plain(arguments: argparse.Namespace) -> None:
    """The control arm: what everyone does first."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, "plain", clean_session=False)
    client.tls_set(*arguments.tls)
    client.connect_async("127.0.0.1", arguments.port)
    client.loop_start()
    stream, begun = StreamId("c" * 32), time.monotonic()
    for number in range(arguments.offer):
        offered = draft(f"{arguments.label}-{number}")
        event = encode_result(offered, stream, number + 1)
        client.publish(DURABLE, b"[" + event + b"]", qos=1)
        report([Committed(offered, number + 1, event, stored=True)], stream)
        if (ahead := number / arguments.rate - (time.monotonic() - begun)) > 0:
            await asyncio.sleep(ahead)
    await asyncio.Event().wait()


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("public_key")
    parser.add_argument("--tls", nargs=3, required=True, metavar=("CA", "CERTIFICATE", "KEY"))
    parser.add_argument("--label", default="r")
    parser.add_argument("--offer", type=int, default=0)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(run_plain(arguments) if arguments.plain else run(arguments))


if __name__ == "__main__":
    main()
