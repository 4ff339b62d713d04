"""A worker without an engine: threads at the worker's end of a lane, which answer with what they were asked."""

import socket
import threading
from collections.abc import Callable

from edge_node.lane.messages import Answer, Ask, Hello, Port, Tensor
from edge_node.lane.slot import aligned, end_of, read_ask, write
from edge_node.lane.worker_end import WorkerEnd, open_lane

HELLO = Hello("s1", (Port("x", "UINT8", (-1, 4)),), (Port("y", "UINT8", (-1, 4)),), "stub", "cpu", max_batch=8)


def echo(ask: Ask, slot: memoryview) -> Answer:
    """The inputs as outputs: `x` becomes `y`."""
    start = end_of(ask.tensors, 0)
    tensors = []
    for tensor in ask.tensors:
        start = aligned(start)
        slot[start : start + tensor.size] = slot[tensor.offset : tensor.offset + tensor.size]
        tensors.append(Tensor("y", tensor.datatype, tensor.shape, start, tensor.size))
        start += tensor.size
    return Answer(tuple(tensors), input_ns=1000, infer_ns=2000, output_ns=3000)


class StubWorker:
    """Connects to the lanes' socket as a worker does. `gate` closed: batches are taken and not answered."""

    def __init__(self, path: str, hello: Hello = HELLO, answer: Callable[[Ask, memoryview], Answer] = echo) -> None:
        self.batches: list[list[Ask]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._answer = answer
        self._path = path
        self._hello = hello
        self._lane: WorkerEnd | None = None
        self._asked = threading.Event()
        """the lane is granted or refused: the other end may know it before this one does"""
        self._threads = [threading.Thread(target=self._open, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Hang up, as the end of the process would."""
        self.gate.set()
        self._asked.wait()
        if self._lane is not None:
            self._lane.hang_up()
        for thread in self._threads:
            thread.join()
        if self._lane is not None:
            self._lane.close()

    def hang_up(self) -> None:
        """The connection ends; batches stay unanswered."""
        self._asked.wait()
        assert self._lane is not None
        self._lane.hang_up()

    def _open(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self._path)
        try:
            self._lane = open_lane(connection, self._hello)
        finally:
            self._asked.set()
        more = [threading.Thread(target=self._work, daemon=True) for _ in range(self._hello.instances - 1)]
        self._threads += more
        for thread in more:
            thread.start()
        self._work()

    def _work(self) -> None:
        assert self._lane is not None
        while batch := self._lane.take():
            asks = [read_ask(self._lane.slot(number)) for number in batch]
            self.batches.append(asks)
            self.gate.wait()
            for number, ask in zip(batch, asks, strict=True):
                write(self._lane.slot(number), self._lane.head_bytes, self._answer(ask, self._lane.slot(number)))
            self._lane.give(batch)
