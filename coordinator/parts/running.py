"""What runs for one coordinator, and the error of a part that broke."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack


class Running:
    """Everything that was started. `stop` ends it, the newest first; `failed` ends with the error of what broke."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] | None = None
        self._stack = AsyncExitStack()

    def begin(self) -> None:
        """On the event loop on which it all runs."""
        self.failed = asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        """Stop all parts. Idempotent."""
        await self._stack.aclose()

    def enter(self, block: AbstractContextManager[object]) -> None:
        """Hold something until the stop."""
        self._stack.enter_context(block)

    def at_stop(self, callback: Callable[[], None]) -> None:
        """Call something at the stop."""
        self._stack.callback(callback)

    def at_stop_aside(self, callback: Callable[[], None]) -> None:
        """Call something that blocks at the stop."""
        self._stack.push_async_callback(asyncio.to_thread, callback)

    async def run(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        """Start a part; it is stopped at the stop."""
        await start()
        self._stack.push_async_callback(stop)

    def background(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run a part that never ends by itself; its error ends the coordinator."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._stack.push_async_callback(_cancelled, task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and self.failed is not None and not self.failed.done():
            self.failed.set_exception(error)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
