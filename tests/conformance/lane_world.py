"""What tests of lanes stand on: a serving process's end that accepts workers, asks and waits for answers."""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge_node.engine.base import Array
from edge_node.lane.greeting import PART_BYTES, Greeting
from edge_node.lane.messages import Answer, Ask, Tensor
from edge_node.lane.messages import Sequence as InSequence
from edge_node.lane.serving_end import ServingEnd
from edge_node.lane.slot import places
from edge_node.worker.messages import LaneOptions, Worker
from protos.inference.datatypes import DATATYPES, NUMPY

WAIT_S = 10.0


class Lanes:
    """A socket that workers reach their lanes by."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "lanes")
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(self.path)
        self._listening.listen()
        self._listening.setblocking(False)
        self.open: list[ServingEnd] = []

    async def lane(self, worker: Worker, session: str, options: LaneOptions | None = None) -> "Asker":
        """A session's lane, opened."""
        opening = asyncio.ensure_future(worker.open_lane(session, self.path, options or LaneOptions()))
        accepting = asyncio.ensure_future(self._accept())
        await asyncio.wait([opening, accepting], return_when=asyncio.FIRST_EXCEPTION, timeout=WAIT_S)
        if opening.done() and opening.exception() is not None:
            accepting.cancel()
            await opening
        return Asker(await accepting)

    async def _accept(self) -> ServingEnd:
        connection = await asyncio.to_thread(self._accepted)
        greeting = Greeting()
        while True:
            hello = greeting.take(await asyncio.to_thread(_received, connection))
            if hello is not None:
                self.open.append(ServingEnd(connection, hello, slots=32, open_bytes=2**20))
                return self.open[-1]

    def _accepted(self) -> socket.socket:
        self._listening.settimeout(WAIT_S)
        connection, _ = self._listening.accept()
        connection.settimeout(WAIT_S)
        return connection

    def close(self) -> None:
        """Hang up everywhere."""
        self._listening.close()
        for lane in self.open:
            lane.close()


def _received(connection: socket.socket) -> bytes:
    return connection.recv(PART_BYTES)


class Asker:
    """Asks on a lane, with arrays."""

    def __init__(self, lane: ServingEnd) -> None:
        self.lane = lane
        self.hello = lane.hello

    async def ask(
        self,
        feeds: Mapping[str, Array],
        outputs: Sequence[str] = (),
        sequence: InSequence | None = None,
        deadline_ns: int = 0,
        *,
        finite: bool = False,
    ) -> tuple[Answer, dict[str, Array]]:
        """One ask in a batch of its own: its answer, and its outputs."""
        number = self.put(feeds, outputs, sequence, deadline_ns, finite=finite)
        return (await self.answers([number]))[0]

    def put(
        self,
        feeds: Mapping[str, Array],
        outputs: Sequence[str] = (),
        sequence: InSequence | None = None,
        deadline_ns: int = 0,
        *,
        finite: bool = False,
    ) -> int:
        """Write an ask into a slot; its number."""
        number = self.lane.take()
        assert number is not None
        packed = {name: pack(array) for name, array in feeds.items()}
        offsets = places(map(len, packed.values()), self.lane.cut.head_bytes, self.lane.cut.slot_bytes)
        tensors = []
        for (name, content), offset in zip(packed.items(), offsets, strict=True):
            self.lane.slot(number)[offset : offset + len(content)] = content
            datatype = DATATYPES[feeds[name].dtype.name]
            tensors.append(Tensor(name, datatype, feeds[name].shape, offset, len(content)))
        self.lane.ask(number, Ask(tuple(tensors), tuple(outputs), deadline_ns, sequence, finite))
        return number

    async def answers(self, batch: Sequence[int]) -> list[tuple[Answer, dict[str, Array]]]:
        """Send a batch, and wait for its answers."""
        self.lane.send(batch)
        assert await self.received() == tuple(batch)
        return [self.take(number) for number in batch]

    async def received(self) -> tuple[int, ...]:
        """The next batch that comes back."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.lane, readable.set)
        try:
            async with asyncio.timeout(WAIT_S):
                await readable.wait()
        finally:
            loop.remove_reader(self.lane)
        return self.lane.receive()

    def take(self, number: int) -> tuple[Answer, dict[str, Array]]:
        """The answer in a slot, which is then free."""
        answer = self.lane.answer(number)
        slot = self.lane.slot(number)
        outputs = {one.name: unpack(slot[one.offset : one.offset + one.size], one) for one in answer.tensors}
        self.lane.release(number)
        return answer, outputs


def pack(array: Array) -> bytes:
    """An array as it lies in a slot."""
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(one)) + one for one in map(_encoded, array.ravel().tolist()))
    return array.tobytes()


def unpack(content: memoryview, tensor: Tensor) -> Array:
    """A copy of the array that lies in a slot; BYTES as texts."""
    if tensor.datatype != "BYTES":
        return np.frombuffer(bytes(content), NUMPY[tensor.datatype]).reshape(tensor.shape)
    texts, place = [], 0
    while place < len(content):
        (size,) = struct.unpack_from("<I", content, place)
        texts.append(bytes(content[place + 4 : place + 4 + size]).decode())
        place += 4 + size
    return np.array(texts, object).reshape(tensor.shape)


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def stub_file(
    path: Path, inputs: Sequence[Mapping[str, object]], outputs: Sequence[Mapping[str, object]], **more: object
) -> Path:
    """A `.stub` model file."""
    path.write_bytes(msgspec.json.encode({"inputs": inputs, "outputs": outputs, **more}))
    return path
