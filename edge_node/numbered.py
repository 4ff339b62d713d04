"""Requests between a process and its child: each has a number, and waits for the one answer that carries it.

What is asked, and how it is sent, is not decided here: see `framing`, `worker.messages` and `serving.control`.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Requests(Generic[Request, Answer]):
    """The requests of one side that wait. Iterating yields them, oldest first."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, tuple[Request, asyncio.Future[Answer]]] = {}

    def __iter__(self) -> Iterator[Request]:
        return iter([request for request, _ in self._waiting.values()])

    def number(self) -> int:
        """The number of the next request."""
        return next(self._numbers)

    async def answer(self, number: int, request: Request, send: Callable[[], None]) -> Answer:
        """Send a request and wait for its answer; raises what `failed` or `fail_all` is told."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = request, answer
        try:
            send()
            return await answer
        finally:
            del self._waiting[number]

    def answered(self, number: int, answer: Answer) -> None:
        """An answer has come; nothing happens where nobody waits for it."""
        waiting = self._future(number)
        if waiting is not None:
            waiting.set_result(answer)

    def failed(self, number: int, error: Exception) -> None:
        """A request has failed; nothing happens where nobody waits for it."""
        waiting = self._future(number)
        if waiting is not None:
            waiting.set_exception(error)

    def fail_all(self, error: Callable[[Request], Exception]) -> None:
        """None of those that wait will be answered."""
        for number, (request, _) in self._waiting.items():
            self.failed(number, error(request))

    def _future(self, number: int) -> asyncio.Future[Answer] | None:
        _, answer = self._waiting.get(number, (None, None))
        return None if answer is None or answer.done() else answer
