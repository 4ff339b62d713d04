"""Getting a bundle: the demo's, 14 small files, from a coordinator process to a verified folder, with mutual TLS.

As the agent does it: short-lived child processes move the bytes, the store checks them. A node that lives beside it is
enrolled, but not started: its identity asks.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path

from edge_node.link.coordinator import Dial
from edge_node.membership.identity import credentials_in
from edge_node.membership.registration import CoordinatorFetcher
from edge_node.store.bundles import Bundles
from edge_node.store.fetch import fetch_bundle
from protos.digest import checked_digest
from tests.benchmarks.figures import Figure, median
from tests.e2e.fleet import INSPECTION, fleet

ROUNDS = 5


def measure(_data: Path) -> list[Figure]:
    """Seconds from the first question to the last file, hashed."""
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder)) as world:
        world.coordinate()
        pushed = json.loads(world.run("edgectl", "model", "push", str(INSPECTION), "--json"))
        token = world.token("cam-3")
        world.run("edge-node", "enroll", "--token-file", str(token), "--state-dir", str(world.folder / "cam-3"))
        dial = Dial(world.address, credentials_in(world.folder / "cam-3"))
        times = [_seconds(dial, pushed["digest"], world.folder / f"store-{number}") for number in range(ROUNDS)]
    files = sum(1 for path in INSPECTION.rglob("*") if path.is_file())
    note = f"{files} files, mutual TLS, processes of their own; median of {ROUNDS}"
    return [Figure("download", "a bundle of small files", median(times), "s", "<= 2", note)]


def _seconds(dial: Dial, digest: str, folder: Path) -> float:
    bundles = Bundles(folder)
    bundles.prepare()
    begun = time.perf_counter()
    fetcher = CoordinatorFetcher(dial.address, lambda _: dial)
    asyncio.run(fetch_bundle(bundles, checked_digest(digest), fetcher, lambda *_: None))
    bundles.verify(checked_digest(digest))
    return time.perf_counter() - begun
