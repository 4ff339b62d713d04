"""A lane of two ends in one process: the worker's runs in a thread and answers with what it was asked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge_node.lane.greeting import PART_BYTES, Greeting
from edge_node.lane.messages import Answer, Hello, Port, Tensor
from edge_node.lane.serving_end import ServingEnd
from edge_node.lane.slot import aligned, read_ask, write
from edge_node.lane.worker_end import WorkerEnd, open_lane

HELLO = Hello("s", (Port("x", "UINT8", (-1, 4)),), (Port("y", "UINT8", (-1, 4)),), "stub", "cpu", max_batch=8)


def grant(connection: socket.socket, slots: int = 4, open_bytes: int = 1000) -> ServingEnd:
    """The serving end for a worker that says hello now."""
    greeting = Greeting()
    while (hello := greeting.take(connection.recv(PART_BYTES))) is None:
        pass
    return ServingEnd(connection, hello, slots, open_bytes)


def echo(lane: WorkerEnd) -> None:
    """Give back what comes, until the lane is over."""
    while batch := lane.take():
        for number in batch:
            slot = lane.slot(number)
            (x,) = read_ask(slot).tensors
            start = aligned(x.offset + x.size)
            slot[start : start + x.size] = slot[x.offset : x.offset + x.size]
            write(slot, lane.head_bytes, Answer((Tensor("y", x.datatype, x.shape, start, x.size),)))
        lane.give(batch)


@contextmanager
def echoing(hello: Hello = HELLO, slots: int = 4, open_bytes: int = 1000) -> Iterator[ServingEnd]:
    """A lane whose worker echoes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker = threading.Thread(target=lambda: echo(open_lane(theirs, hello)))
    worker.start()
    lane = grant(ours, slots, open_bytes)
    try:
        yield lane
    finally:
        lane.close()
        worker.join()
        theirs.close()
