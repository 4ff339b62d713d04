"""Watching the demo: results as the coordinator commits them, and what each node says of itself.

A thread reads the stream of committed results into a queue; everything else happens on the caller's thread.
"""

import queue
import threading
import time
from collections.abc import Iterable
from datetime import datetime

import grpc
import msgspec

from coordinator.cli.demo_children import Children, PartFailed, failed
from coordinator.cli.demo_scene import Scene
from coordinator.cli.demo_table import Row, Traffic
from coordinator.cli.demo_tally import ClassifiedEvent, Tally, Truth
from protos.fleet.v1 import result_pb2, result_pb2_grpc

STATUS_EVERY_S = 2.0


class Watch:
    """What the nodes have delivered since `start`."""

    def __init__(self, channel: grpc.Channel, children: Children, scene: Scene, sites: dict[str, str]) -> None:
        self.tallies = {name: Tally() for name in sites}
        self.traffic = {name: Traffic() for name in sites}
        self.stored = 0
        self._sites = sites
        self._children = children
        self._scene = scene
        self._truth = msgspec.json.decode((scene.assets / "clip" / "truth.json").read_bytes(), type=Truth)
        self._results = result_pb2_grpc.ResultServiceStub(channel)  # type: ignore[no-untyped-call]
        self._arrived: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._status_due_s = 0.0

    def start(self) -> None:
        """Listen to the results that are committed from now on, until the channel is closed."""
        stream = self._results.TailResults(result_pb2.TailResultsRequest())
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def _listen(self, stream: Iterable[result_pb2.ResultBatch]) -> None:
        try:
            for batch in stream:
                for event in batch.events:
                    self._arrived.put((time.time(), event))
        except grpc.RpcError:
            return  # the channel was closed, or the coordinator ended: the children's check says so

    def reset(self) -> None:
        """Count from now on: what came while the nodes warmed up is left out."""
        self.tallies = {name: Tally() for name in self._sites}

    def take(self) -> None:
        """Count what has arrived.

        Raises:
            PartFailed: a part ended.
        """
        self._children.check()
        while not self._arrived.empty():
            self._count(*self._arrived.get())

    def turn(self) -> None:
        """Count what has arrived; from time to time refresh. The nodes must be up.

        Raises:
            PartFailed: a part ended, or does not answer.
        """
        self.take()
        if time.monotonic() >= self._status_due_s:
            self.refresh()
            self._status_due_s = time.monotonic() + STATUS_EVERY_S

    def _count(self, now_s: float, event: bytes) -> None:
        result = msgspec.json.decode(event, type=ClassifiedEvent)
        captured_s = datetime.fromisoformat(result.data.captured_at).timestamp()
        self.tallies[result.data.name].add(result, self._truth, captured_s, now_s)

    def refresh(self) -> None:
        """What each node has counted and the coordinator has stored by now.

        Raises:
            PartFailed: a node does not answer.
        """
        self.stored = int(self._results.CountResults(result_pb2.QueryResultsRequest(), timeout=10).results)
        for name in self._sites:
            arguments = ("status", "--state-dir", str(self._scene.state_dir(name)), "--json")
            try:
                answer = self._children.run(f"edge-node status of {name}", "edge_node", *arguments)
            except PartFailed:
                self._children.check()  # where the node has ended, that is what happened
                raise failed(self._children.named(f"edge-node {name}"), "does not tell its status") from None
            self.traffic[name] = traffic(answer)

    def rows(self) -> list[Row]:
        """The nodes as the table shows them."""
        return [Row(name, site, self.tallies[name], self.traffic[name]) for name, site in self._sites.items()]


class _Bytes(msgspec.Struct):
    taken_in: int = msgspec.field(name="in")
    out: dict[str, int]


class _Source(msgspec.Struct):
    frames: int


class _Outbox(msgspec.Struct):
    waiting: int


class _Status(msgspec.Struct):
    """What the demo reads of `edge-node status --json` (docs/reference/node.md)."""

    bytes: _Bytes
    sources: tuple[_Source, ...]
    outbox: _Outbox


def traffic(status: bytes) -> Traffic:
    """The counters of a node's status document."""
    known = msgspec.json.decode(status, type=_Status)
    frames = sum(source.frames for source in known.sources)
    return Traffic(frames, known.bytes.taken_in, sum(known.bytes.out.values()), known.outbox.waiting)
