"""Takes the one message of a call, within a time: calls whose message never comes hold little, and not for long."""

import asyncio

import grpc

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rpc.edge import Context


class Patience:
    """Calls whose message has not come yet: `most` of them; of more the one that has waited longest ends."""

    def __init__(self, wait_s: float, most: int) -> None:
        self._wait_s = wait_s
        self._most = most
        self._waiting: dict[asyncio.Timeout, None] = {}

    async def message(self, context: Context) -> bytes:
        """The message.

        Raises:
            ServingError: DEADLINE: it did not come in time. INVALID: the call ended without one.
        """
        timeout = asyncio.timeout(self._wait_s)
        try:
            async with timeout:
                self._waiting[timeout] = None
                if len(self._waiting) > self._most:
                    self._end_oldest()
                message = await context.read()
        except TimeoutError:
            raise ServingError(Kind.DEADLINE, f"no request came within {self._wait_s:g} s") from None
        finally:
            self._waiting.pop(timeout, None)
        if message is grpc.aio.EOF:
            raise ServingError(Kind.INVALID, "the call ended without a request, or with one that is too large")
        return bytes(message)

    def _end_oldest(self) -> None:
        oldest = next(iter(self._waiting))
        del self._waiting[oldest]
        oldest.reschedule(0.0)
