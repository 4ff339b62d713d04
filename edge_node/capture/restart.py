"""Starts again what dies, with backoff."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from edge_node.capture.backoff import MOST_S, retry_delay_s


async def restart_for_ever(live: Callable[[], Awaitable[str]], on_death: Callable[[str, float], None]) -> None:
    """Run one life after another until cancelled.

    Args:
        live: one life; returns the reason of its end.
        on_death: told that reason and the seconds until the next life. A long life makes up for earlier deaths.
    """
    attempt = 0
    while True:
        began_s = time.monotonic()
        reason = await live()
        attempt = 1 if time.monotonic() - began_s > MOST_S else attempt + 1
        delay_s = retry_delay_s(attempt, random.random())  # noqa: S311 - jitter, not a secret
        on_death(reason, delay_s)
        await asyncio.sleep(delay_s)
