"""Tidies the registry at the start and once a day. What is dropped is decided in `expiry`."""

import asyncio
import logging
import time

from coordinator.errors import NearfieldError
from coordinator.registry.service import Registry

EVERY_S = 24 * 3600.0

log = logging.getLogger(__name__)


async def tidy_daily(registry: Registry) -> None:
    """Until cancelled. What fails today is tried again tomorrow."""
    while True:
        try:
            freed = await asyncio.to_thread(registry.tidy, time.time())
        except (NearfieldError, OSError) as error:
            log.warning("content that nobody needs stays for another day: %s", error)
        else:
            if freed:
                log.info("%d bytes that were pushed and never published are dropped", freed)
        await asyncio.sleep(EVERY_S)
