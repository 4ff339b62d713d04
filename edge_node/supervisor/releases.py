"""Whether the versions that this node is told to run were released: the papers, the floors and the roots together.

    releases.check(wanted, last_good)              # before every load
    await releases.check_or_ask(wanted, …)         # before a download, and where a paper may have come meanwhile

The decision is `edge_node.store.release`; the floors rise where a version is promoted (`effects`).
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from edge_node.errors import NearfieldError, Refused
from edge_node.store.bundles import Bundles
from edge_node.store.fetch import Fetcher, fetch_manifest
from edge_node.store.papers import PapersFolder
from edge_node.store.release import Standing, Wanted, check_release, trustworthy
from edge_node.supervisor.floors import FloorFile, raised
from protos.desired import DesiredDeployment
from protos.digest import Digest
from protos.trust import TrustRoot


class Releases:
    """The papers and floors of one node.

    Args:
        papers: the signed papers on the disk.
        floor_file: the floors on the disk.
        roots: the trust roots that this node has held, oldest first.
        now: the node's own clock.
    """

    def __init__(
        self,
        papers: PapersFolder,
        floor_file: FloorFile,
        roots: Callable[[], Sequence[TrustRoot]],
        now: Callable[[], datetime],
    ) -> None:
        self.papers = papers
        self._floor_file = floor_file
        self._roots = roots
        self._now = now
        self._floors: dict[str, int] = {}

    def open(self, last_good: Collection[DesiredDeployment]) -> None:
        """Read what the disk holds."""
        self._floors = self._floor_file.load(last_good)

    def check(self, wanted: Wanted, last_good: Collection[DesiredDeployment]) -> None:
        """Nothing, where the version may be loaded.

        Raises:
            Refused: why it may not.
        """
        proven = {Wanted(good.model, good.version, good.digest) for good in last_good}
        standing = Standing(self._roots(), self._floors.get(wanted.model, 0), wanted in proven, self._now())
        check_release(wanted, self.papers.get(wanted.digest), standing)

    async def check_or_ask(
        self,
        wanted: Wanted,
        last_good: Collection[DesiredDeployment],
        bundles: Bundles,
        fetcher: Fetcher | None,
    ) -> None:
        """As `check`, after asking the coordinator for its papers where those on the disk do not suffice.

        Raises:
            Refused: why it may not.
        """
        try:
            self.check(wanted, last_good)
        except Refused:
            if fetcher is None:
                raise
            try:
                papers = await fetch_manifest(bundles, wanted.digest, fetcher)
            except NearfieldError as error:
                if wanted.digest not in bundles.known():
                    raise
                raise Refused(f"{wanted}: not released as far as this node knows, and it cannot ask: {error}") from None
            await asyncio.to_thread(self.papers.keep, wanted.digest, trustworthy(papers, self._roots()))
            self.check(wanted, last_good)

    def raise_floor(self, version: DesiredDeployment) -> None:
        """The version has passed its probation."""
        after = raised(self._floors, (version,))
        if after != self._floors:
            self._floor_file.save(after)
            self._floors = after

    def forget(self, digest: Digest) -> None:
        """The bundle is gone. Its model's floor stays."""
        self.papers.remove(digest)
