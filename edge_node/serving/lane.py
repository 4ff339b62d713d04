"""A session's lane on the serving process's event loop: batches go out, answers come back to whoever owns the lane.

What is sent when, and what an answer means, is not decided here: see `served`.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_node.lane.messages import Answer, Ask, Hello, Tensor
from edge_node.lane.messages import Sequence as StatefulSequence
from edge_node.lane.serving_end import LaneOver, ServingEnd
from edge_node.lane.slot import Cut, DoesNotFit, WrongAnswer
from edge_node.serving.inference import InRegion, Kind, OutputTensor, RequestedOutput, ServingError
from edge_node.serving.queue import Waiting
from edge_node.serving.regions import Regions

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, kw_only=True)
class Asked(Waiting):
    """An ask with all that is needed to send and to answer it. `tensors` say where in a slot `data` belongs."""

    tensors: tuple[Tensor, ...]
    data: Sequence[bytes | memoryview | InRegion]
    names: tuple[str, ...]
    requested: Sequence[RequestedOutput]
    stateful: StatefulSequence | None
    answer: asyncio.Future[list[OutputTensor]]
    finite: bool = False
    """its values have to be"""
    sent_ns: int = 0

    def refuse(self, error: ServingError) -> None:
        """No answer."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Owner(Protocol):
    """Whoever a lane belongs to."""

    def freed(self) -> None:
        """A batch came back: another one can be sent."""

    def answered(self, ask: Asked, answer: Answer, slot: memoryview) -> None:
        """An ask came back; the slot is to be read now."""

    def executed(self, last: Answer) -> None:
        """All of a batch were answered."""

    def over(self, lane: "Lane", begun: list[Asked], waiting: list[Asked]) -> None:
        """The lane is over; the session had perhaps begun some asks, and certainly not the others."""


class Lane:
    """A lane and the asks that are with its worker. `closed` once it is over."""

    def __init__(self, end: ServingEnd, regions: Regions) -> None:
        self.hello: Hello = end.hello
        self.owner: Owner | None = None
        self.closed = False
        self._end = end
        self._regions = regions
        self._asks: dict[int, Asked] = {}
        self._batches: list[tuple[int, ...]] = []
        asyncio.get_running_loop().add_reader(end.fileno(), self._readable)

    @property
    def cut(self) -> Cut:
        """How its slots are cut; equal for equal hellos."""
        return self._end.cut

    @property
    def in_work(self) -> int:
        """How many batches the worker has."""
        return len(self._batches)

    @property
    def sequences(self) -> set[int | str]:
        """The sequences that have an ask with the worker."""
        return {ask.sequence for ask in self._asks.values() if ask.sequence is not None}

    def send(self, asks: Sequence[Asked]) -> None:
        """Send asks as one batch. One whose tensors cannot be read is refused and left out."""
        numbers = tuple(number for ask in asks if (number := self._put(ask)) is not None)
        if not numbers:
            return
        self._batches.append(numbers)
        try:
            self._end.send(numbers)
        except LaneOver as error:
            self.hang_up(str(error))

    def trim(self) -> None:
        """Give back memory that is not used; to be called every few seconds."""
        self._end.trim()

    def close(self) -> None:
        """Hang up. Nobody hears of it. Idempotent."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self._end.fileno())
            self._end.close()

    def _put(self, ask: Asked) -> int | None:
        number = self._end.take()
        if number is None:
            raise AssertionError("a lane has slots for all batches that its worker may have")
        slot = self._end.slot(number)
        try:
            for tensor, data in zip(ask.tensors, ask.data, strict=True):
                place = slot[tensor.offset : tensor.offset + tensor.size]
                if isinstance(data, InRegion):
                    self._regions.read(data, place)
                else:
                    place[:] = data
            self._end.ask(number, Ask(ask.tensors, ask.names, ask.deadline_ns, ask.stateful, ask.finite))
        except (ServingError, DoesNotFit) as error:
            self._end.release(number)
            ask.refuse(error if isinstance(error, ServingError) else ServingError(Kind.TOO_LARGE, str(error)))
            return None
        ask.sent_ns = time.monotonic_ns()
        self._asks[number] = ask
        return number

    def _readable(self) -> None:
        """One batch at a time: where there are more, the loop calls again."""
        try:
            batch = self._end.receive()
            if batch:
                self._take_back(batch)
        except (LaneOver, WrongAnswer) as error:
            self.hang_up(str(error))

    def _take_back(self, batch: tuple[int, ...]) -> None:
        """The engine is free: it gets its next batch before the answers of this one are looked at."""
        if batch not in self._batches:
            raise LaneOver(f"session {self.hello.session} mixed its batches")
        assert self.owner is not None  # nothing is sent on a lane without one
        self._batches.remove(batch)
        self.owner.freed()
        if self.closed:  # nothing could be sent: all has been refused
            return
        for number in batch:
            answer = self._end.answer(number)
            self.owner.answered(self._asks.pop(number), answer, self._end.slot(number))
            self._end.release(number)
        self.owner.executed(answer)

    def hang_up(self, reason: str) -> None:
        """End the lane and tell its owner.

        The worker begins batches in order, one per instance: what is behind those has not been begun.
        """
        if self.closed:
            return
        _log.info("the lane is over: %s", reason)
        self.close()
        behind = [number for batch in self._batches[self.hello.instances :] for number in batch]
        waiting = [self._asks.pop(number) for number in behind]
        begun = list(self._asks.values())
        self._asks.clear()
        self._batches.clear()
        if self.owner is not None:
            self.owner.over(self, begun, waiting)
