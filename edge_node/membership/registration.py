"""Finding the coordinator and registering with it, again and again until it answers.

An explicit address wins; then the address of the last time is tried; where the coordinator does not answer there,
zeroconf is asked where it is now. A node does not wait for this: it runs what it had.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from edge_node.config import NodeConfig
from edge_node.errors import NearfieldError, Stranger, Unreachable
from edge_node.link import coordinator, discovery
from edge_node.membership.identity import Identity, pinned
from edge_node.membership.newer_roots import newer_roots
from edge_node.store.fetch import Growing
from edge_node.store.release import Papers
from protos.digest import Digest

FIRST_S, LONGEST_S = 1.0, 60.0
LOOK_S = 1.0
"""How often the connection is looked at."""
LOOK_AGAIN_S = 30.0
"""How often at most what cannot be believed makes the node ask for a new trust root."""
PATIENCE_S = 4.0
"""How long a lost connection may take to come back before the coordinator is asked where the broker is now."""

log = logging.getLogger(__name__)

Dialling = Callable[[str], coordinator.Dial]
"""How an address is dialled: with this node's certificate, and what it knows of the time."""


def retry_s(attempt: int, jitter: float) -> float:
    """Seconds before the next attempt, the first being 0; `jitter` is 0..1. Pure."""
    longest = min(FIRST_S * 2.0 ** min(attempt, 10), LONGEST_S)
    return longest * (0.5 + jitter / 2)


async def join(config: NodeConfig, identity: Identity, facts_json: str, dial: Dialling) -> Identity:
    """Register with the coordinator; the identity as it confirms it. Strangers at its address are passed over.

    Raises:
        Unreachable: nobody answers.
        Refused: a stranger, or a coordinator that says no.
        BadInput: the configured address is none.
    """
    try:
        return await _join_at(config.coordinator or identity.coordinator, config, identity, facts_json, dial)
    except (Unreachable, Stranger):
        if config.coordinator is not None:
            raise
        for address in await discovery.find_coordinators():
            with contextlib.suppress(Unreachable, Stranger):
                return await _join_at(address, config, identity, facts_json, dial)
        raise


async def _join_at(address: str, config: NodeConfig, identity: Identity, facts_json: str, dial: Dialling) -> Identity:
    told = await coordinator.register(
        dial(address),
        node_id=identity.node,
        name=identity.name,
        site=identity.site,
        labels=config.labels,
        facts_json=facts_json,
    )
    return pinned(identity, told, address)


class CoordinatorFetcher:
    """The `Fetcher` of one coordinator: each question is a short-lived child process."""

    def __init__(self, address: str, dial: Dialling) -> None:
        self._address = address
        self._dial = dial

    async def manifest(self, digest: Digest) -> tuple[bytes, Papers]:
        """The manifest and the signed papers, unchecked."""
        told = await coordinator.get_manifest(self._dial(self._address), digest)
        return told.content, Papers(told.releases, told.downgrades)

    async def blobs(self, growing: Sequence[Growing], on_progress: Callable[[int], None]) -> None:
        """Let each file grow to its size, all in one child."""
        pieces = [coordinator.Piece(one.digest, str(one.into), one.offset, one.size) for one in growing]
        await coordinator.fetch_blobs(self._dial(self._address), pieces, on_progress)


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
        dial: Dialling,
    ) -> None:
        self.state = "not registered yet"
        self._config = config
        self._identity = identity
        self._connected = connected
        self._on_registered = on_registered
        self._dial = dial
        self._again = asyncio.Event()
        self._looks = False
        self._not_before = 0.0

    def again(self) -> None:
        """Register again now: identity or certificate have changed."""
        self._again.set()

    def look_again(self) -> None:
        """Register again: the coordinator may have a new trust root. Now and then, however often it is asked, and
        until it has answered.
        """
        self._looks = True

    async def run(self, facts_json: str) -> None:
        """Register, and again while there is no connection: the broker may have moved. Until cancelled."""
        attempt = 0
        while True:
            await self._register(facts_json)
            self._again.clear()
            # not wait_for: until Python 3.12 it loses a cancellation that comes together with the event
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(retry_s(attempt, random.random())):  # noqa: S311 (jitter)
                    await self._again.wait()
            attempt += 1
            if self._connected():
                await self._while_connected()
                attempt = 0

    async def _register(self, facts_json: str) -> None:
        before = self._identity()
        if before is None:
            return
        looks, self._looks = self._looks, False
        try:
            identity = await self._joined(before, facts_json)
            await self._on_registered(identity)
            if identity.roots != before.roots:
                self._not_before = 0.0  # what made it ask was true: the next news need not wait
        except (NearfieldError, OSError) as error:
            self._looks = self._looks or looks
            self._say(f"not registered: {error} (running what this node has)", logging.WARNING)
        else:
            self._say(f"registered with the coordinator at {identity.coordinator} as {identity.node}", logging.INFO)

    async def _joined(self, identity: Identity, facts_json: str) -> Identity:
        """As `join`, following trust roots first where the coordinator has another authority by now."""
        try:
            return await join(self._config, identity, facts_json, self._dial)
        except Stranger:
            newer = await newer_roots(identity)
            if newer is None:
                raise
            await self._on_registered(newer)
            return await join(self._config, newer, facts_json, self._dial)

    async def _while_connected(self) -> None:
        """Wait until the connection has been gone for longer than a broker takes to start again."""
        patience_s = PATIENCE_S * (0.5 + random.random() / 2)  # noqa: S311 (jitter)
        gone_s = 0.0
        while gone_s < patience_s and not self._again.is_set() and not self._looks_now():
            await asyncio.sleep(LOOK_S)
            gone_s = 0.0 if self._connected() else gone_s + LOOK_S

    def _looks_now(self) -> bool:
        """Whether the coordinator is to be asked for a new trust root, and was not just now."""
        if not self._looks or time.monotonic() < self._not_before:
            return False
        self._not_before = time.monotonic() + LOOK_AGAIN_S
        return True

    def _say(self, state: str, level: int) -> None:
        if state != self.state:
            log.log(level, "%s", state)
        self.state = state
