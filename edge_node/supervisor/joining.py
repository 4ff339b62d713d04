"""Finding the coordinator and registering with it, again and again until it answers.

An explicit address wins; then zeroconf is asked; where it finds nobody, the address of the last time is tried. A node
that has an identity does not wait for this: it runs what it had.
"""

from collections.abc import Callable
from pathlib import Path

from edge_node.config import NodeConfig
from edge_node.errors import NearfieldError, Unreachable
from edge_node.link import coordinator, discovery
from edge_node.supervisor.identity import Identity, pinned
from protos.digest import Digest

FIRST_S, LONGEST_S = 1.0, 60.0


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


def explain(error: NearfieldError, identity: Identity | None) -> str:
    """One line for the log. Pure."""
    meanwhile = "running what this node has" if identity is not None else "nothing to run before first contact"
    return f"not registered: {error} ({meanwhile})"
