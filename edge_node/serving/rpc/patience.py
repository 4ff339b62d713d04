"""Takes the one message of a call, within a time: calls whose message never comes hold little, and not for long.

All calls may wait equally long, so that those which wait are in the order in which they end, and one timer, that of
the first, is enough. A timer for each, as `asyncio.timeout` has it, was a tenth of our own Python's share of a request.
"""

import asyncio

import grpc

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rpc.edge import Context


class Patience:
    """Calls whose message has not come yet: `most` of them; of more the one that has waited longest ends."""

    def __init__(self, wait_s: float, most: int) -> None:
        self._wait_s = wait_s
        self._most = most
        self._until: dict[asyncio.Task[object], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def message(self, context: Context) -> bytes:
        """The message.

        Raises:
            ServingError: DEADLINE: it did not come in time. INVALID: the call ended without one.
        """
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in one
        self._begin(task)
        try:
            message = await context.read()
        except asyncio.CancelledError:
            if task in self._until or task.uncancel():  # it was somebody else, or that too
                raise
            raise ServingError(Kind.DEADLINE, f"no request came within {self._wait_s:g} s") from None
        finally:
            self._until.pop(task, None)
        if message is grpc.aio.EOF:
            raise ServingError(Kind.INVALID, "the call ended without a request, or with one that is too large")
        return bytes(message)

    def _begin(self, task: asyncio.Task[object]) -> None:
        loop = asyncio.get_running_loop()
        self._until[task] = loop.time() + self._wait_s
        if self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._end_overdue)
        if len(self._until) > self._most:
            self._end(next(iter(self._until)))

    def _end(self, task: asyncio.Task[object]) -> None:
        del self._until[task]
        task.cancel()

    def _end_overdue(self) -> None:
        """End all whose time is over; the timer is then the next one's."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, until in list(self._until.items()):
            if until > loop.time():
                self._timer = loop.call_at(until, self._end_overdue)
                return
            self._end(task)
