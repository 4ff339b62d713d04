"""The serving process's end of a lane. No thread, no loop: whoever owns it waits on `fileno()` and calls `receive`.

    greeting = Greeting()                                   # for a connection that was accepted, non-blocking
    hello = greeting.take(connection.recv(PART_BYTES + 4))  # when readable, until it is not None; b"": hung up
    lane = ServingEnd(connection, hello, slots=64, open_bytes=64 * 2**20)   # grants

    number = lane.take()                                    # None: all are in use
    slot = lane.slot(number)                                # a memoryview
    (offset,) = places([len(data)], lane.cut.head_bytes, lane.cut.slot_bytes)   # of `slot`; raises DoesNotFit
    slot[offset : offset + len(data)] = data
    lane.ask(number, Ask((Tensor("x", "FP32", (1, 3), offset, len(data)),)))
    lane.send([number])                                     # a batch is one packet; raises LaneOver

    for number in lane.receive():                           # when readable, until (); raises LaneOver
        answer = lane.answer(number)                        # checked; raises WrongAnswer
        ...                                                 # copy or send slot[offset : offset + size]
        lane.release(number)

    lane.trim()                                             # each few seconds
    lane.close()

After `LaneOver` or `WrongAnswer` the lane is over: close it; what `with_worker` holds has no answer. A batch's slots
must be `ask`ed before it is sent. Slots are taken newest first, so that few are ever touched and stay in caches.
Queueing and what goes together in a batch are not decided here.
"""

import os
import socket
import struct
from collections.abc import Sequence

from edge_node.lane.greeting import send_grant
from edge_node.lane.memory import Memory, new_file
from edge_node.lane.messages import Answer, Ask, Grant, Hello, Tensor
from edge_node.lane.slot import Cut, cut_for, end_of, read_answer, write

KEPT_OPEN_BYTES = 2 * 2**20
"""What open axes may have taken of a slot, and it is kept for the next ask as it is."""
_NUMBER_BYTES = 4


class LaneOver(ConnectionError):
    """The worker is gone, does not read, or says what it may not."""


class ServingEnd:
    """A granted lane. `with_worker` are the slots that were sent and have not come back."""

    def __init__(self, connection: socket.socket, hello: Hello, slots: int, open_bytes: int) -> None:
        """Make the memory and grant the lane; the connection becomes the lane's.

        Args:
            connection: the worker's.
            hello: what it said, checked by `Greeting`.
            slots: how many asks can be in work and waiting.
            open_bytes: as of `cut_for`.

        Raises:
            LaneOver: the worker is gone already.
            NearfieldError: there is no memory.
        """
        self.hello = hello
        self.cut: Cut = cut_for(hello, open_bytes)
        self.with_worker: set[int] = set()
        self._connection = connection
        self._outputs = {port.name: port for port in hello.outputs}
        self._wanted: list[Sequence[str]] = [()] * slots
        self._free = list(range(slots - 1, -1, -1))
        self._touched: set[int] = set()
        self._recent: set[int] = set()
        self._large: set[int] = set()
        self._kept_bytes = cut_for(hello, KEPT_OPEN_BYTES).slot_bytes
        connection.setblocking(False)
        fd = new_file(slots * self.cut.slot_bytes)
        try:
            self._memory = Memory(fd, slots, self.cut.slot_bytes)
            send_grant(connection, Grant(slots, self.cut.slot_bytes), fd)
        except OSError as error:
            raise LaneOver(f"the lane of session {hello.session} was not granted: {error.strerror}") from None
        finally:
            os.close(fd)

    def fileno(self) -> int:
        """Of the connection."""
        return self._connection.fileno()

    @property
    def free(self) -> int:
        """How many slots can be taken."""
        return len(self._free)

    def take(self) -> int | None:
        """A slot for an ask; None where all are in use."""
        if not self._free:
            return None
        number = self._free.pop()
        self._recent.add(number)
        return number

    def slot(self, number: int) -> memoryview:
        """A slot's memory; to be written between `take` and `send` and read between `receive` and `release`."""
        return self._memory.slots[number]

    def ask(self, number: int, ask: Ask) -> None:
        """Write an ask, whose tensors lie in the slot.

        Raises:
            DoesNotFit: its head is too long.
        """
        write(self._memory.slots[number], self.cut.head_bytes, ask)
        self._wanted[number] = ask.outputs
        self._note(number, ask.tensors)

    def send(self, batch: Sequence[int]) -> None:
        """Send slots that belong together, as one packet.

        Raises:
            LaneOver: the worker is gone, or does not read.
        """
        self.with_worker.update(batch)
        try:
            self._connection.send(struct.pack(f"={len(batch)}I", *batch))
        except OSError as error:
            raise LaneOver(f"session {self.hello.session} takes nothing: {error.strerror}") from None

    def receive(self) -> tuple[int, ...]:
        """The slots of the next batch that was answered; none where nothing is there now.

        Raises:
            LaneOver: the worker is gone, or gave slots back that it did not have.
        """
        try:
            packet = self._connection.recv(len(self._wanted) * _NUMBER_BYTES + 1)
        except BlockingIOError:
            return ()
        except OSError as error:
            raise LaneOver(f"session {self.hello.session} is gone: {error.strerror}") from None
        batch = numbers_in(packet)
        if not batch or not self.with_worker.issuperset(batch) or len(set(batch)) != len(batch):
            raise LaneOver(f"session {self.hello.session} {'gave back what it did not have' if packet else 'is gone'}")
        self.with_worker.difference_update(batch)
        return batch

    def answer(self, number: int) -> Answer:
        """The answer in a slot that was received.

        Raises:
            WrongAnswer: it cannot be one.
        """
        answer = read_answer(self._memory.slots[number], self.cut, self._outputs, self._wanted[number])
        self._note(number, answer.tensors)
        return answer

    def release(self, number: int) -> None:
        """A slot is free again: nothing looks into it any more. One that held much gives its memory back."""
        if number in self._large:
            self._large.discard(number)
            self._memory.give_back(number)
        self._free.append(number)

    def trim(self) -> None:
        """Give back the memory of free slots that were not used since the last call."""
        self._touched |= self._recent
        for number in self._touched.intersection(self._free) - self._recent:
            self._memory.give_back(number)
            self._touched.discard(number)
        self._recent.clear()

    def _note(self, number: int, tensors: Sequence[Tensor]) -> None:
        if self._kept_bytes < self.cut.slot_bytes and end_of(tensors, 0) > self._kept_bytes:
            self._large.add(number)

    def close(self) -> None:
        """Hang up. The memory goes with the last view of a slot."""
        self._connection.close()


def numbers_in(packet: bytes) -> tuple[int, ...]:
    """The slots that a packet names; none where it is no packet of slots."""
    count, rest = divmod(len(packet), _NUMBER_BYTES)
    return () if rest else struct.unpack(f"={count}I", packet)
