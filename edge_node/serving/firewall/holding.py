"""Refusals that are held back: whoever asks too much waits for each "no", so that refusing costs the server little.

A client that sends the next request after each answer is slowed down to one a second on each of its connections and
calls. Few are held at the same time; of more the answer is given at once.
"""

import asyncio
import random

from edge_node.serving.inference import ServingError

MOST = 256
HOLD_S = 1.0
"""on average; spread, so that those who were held together do not come back together"""
HELD = frozenset({"rate", "concurrent", "scope", "unknown_caller"})
"""the causes of `ServingError` that are held"""


class Holding:
    """All refusals of a serving process that are held."""

    def __init__(self) -> None:
        self._held = 0

    async def hold(self, error: ServingError) -> None:
        """Return when the refusal may be told."""
        if error.cause not in HELD or self._held >= MOST:
            return
        self._held += 1
        try:
            await asyncio.sleep(HOLD_S * random.uniform(0.5, 1.5))  # noqa: S311 - a spread, no secret
        finally:
            self._held -= 1
