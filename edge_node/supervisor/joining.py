"""Finding the coordinator and registering with it, again and again until it answers.

An explicit address wins; then zeroconf is asked; where it finds nobody, the address of the last time is tried. A node
that has an identity does not wait for this: it runs what it had.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge_node.config import NodeConfig
from edge_node.errors import NearfieldError, Unreachable
from edge_node.link import coordinator, discovery
from edge_node.supervisor.identity import Identity, pinned
from protos.digest import Digest

FIRST_S, LONGEST_S = 1.0, 60.0
LOOK_S = 1.0
"""How often the connection is looked at."""
PATIENCE_S = 4.0
"""How long a lost connection may take to come back before the coordinator is asked where the broker is now."""

log = logging.getLogger(__name__)


def retry_s(attempt: int, jitter: float) -> float:
    """Seconds before the next attempt, the first being 0; `jitter` is 0..1. Pure."""
    longest = min(FIRST_S * 2.0 ** min(attempt, 10), LONGEST_S)
    return longest * (0.5 + jitter / 2)


async def join(config: NodeConfig, identity: Identity | None, facts_json: str) -> Identity:
    """Register with the coordinator; the identity that it gives or confirms.

    Raises:
        Unreachable: nobody answers.
        Refused: another coordinator, or one that says no.
        BadInput: the configured address is none.
    """
    address = await _address(config, identity)
    told = await coordinator.register(
        address,
        node_id=None if identity is None else identity.node,
        name=config.name,
        site=config.site,
        labels=config.labels,
        facts_json=facts_json,
    )
    return pinned(identity, told, address)


async def _address(config: NodeConfig, identity: Identity | None) -> str:
    if config.coordinator is not None:
        return config.coordinator
    try:
        return await discovery.find_coordinator()
    except Unreachable:
        if identity is None:
            raise
        return identity.coordinator


class CoordinatorFetcher:
    """The `Fetcher` of one coordinator: each request is a short-lived child process."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def manifest(self, digest: Digest) -> bytes:
        """The manifest, unchecked."""
        return await coordinator.get_manifest(self.address, digest)

    async def blob(self, digest: Digest, into: Path, offset: int, on_progress: Callable[[int], None]) -> None:
        """Append to the file from the offset on."""
        await coordinator.fetch_blob(self.address, digest, into, offset, on_progress)


class Registration:
    """Keeps the node registered: until the coordinator answers, and again while the connection stays away.

    `state` is one line for people.
    """

    def __init__(
        self,
        config: NodeConfig,
        identity: Callable[[], Identity | None],
        connected: Callable[[], bool],
        on_registered: Callable[[Identity], Awaitable[None]],
    ) -> None:
        self.state = "not registered yet"
        self._config = config
        self._identity = identity
        self._connected = connected
        self._on_registered = on_registered

    async def run(self, facts_json: str) -> None:
        """Register, and again while there is no connection: the broker may have moved. Until cancelled."""
        attempt = 0
        while True:
            await self._register(facts_json)
            await asyncio.sleep(retry_s(attempt, random.random()))  # noqa: S311 (jitter)
            attempt += 1
            if self._connected():
                await self._while_connected()
                attempt = 0

    async def _register(self, facts_json: str) -> None:
        try:
            identity = await join(self._config, self._identity(), facts_json)
            await self._on_registered(identity)
        except (NearfieldError, OSError) as error:
            meanwhile = "nothing to run yet" if self._identity() is None else "running what this node has"
            self._say(f"not registered: {error} ({meanwhile})", logging.WARNING)
        else:
            self._say(f"registered with the coordinator at {identity.coordinator} as {identity.node}", logging.INFO)

    async def _while_connected(self) -> None:
        """Wait until the connection has been gone for longer than a broker takes to start again."""
        patience_s = PATIENCE_S * (0.5 + random.random() / 2)  # noqa: S311 (jitter)
        gone_s = 0.0
        while gone_s < patience_s:
            await asyncio.sleep(LOOK_S)
            gone_s = 0.0 if self._connected() else gone_s + LOOK_S

    def _say(self, state: str, level: int) -> None:
        if state != self.state:
            log.log(level, "%s", state)
        self.state = state
