"""Waiting, in tests, for what no event tells: something that another thread or process brings about."""

import asyncio
from collections.abc import Callable

import pytest

PATIENCE_S = 40.0


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Return when the condition holds; fail the test where it does not for long."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"waited in vain for {what or 'a condition'}")


async def comes_true(condition: Callable[[], object], what: str = "") -> None:
    """The same for a condition that blocks: asked over a connection each time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"waited in vain for {what or 'a condition'}")
