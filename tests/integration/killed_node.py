"""A node in a process of its own, to be killed: `python -m tests.integration.killed_node FOLDER`.

It serves a good version, then takes a bad one on trial; it says each state of that, a line each, and runs on.
"""

import asyncio
import sys
from pathlib import Path

from edge_node.config import Source
from protos.evidence import Trial
from tests.conformance.worker_world import stub_bundle
from tests.integration import bad_models
from tests.integration.trial_world import TrialNode

TRIAL = Trial("r1", healthy_s=60.0)
CRASHES_AT = 90
"""The run of the bad version that takes its worker along."""


def killed_node(folder: Path) -> TrialNode:
    """The node on a folder, which has a film to look at."""
    return TrialNode(folder, Source(str(folder / "film"), fps=25.0, loop=True))


async def run(folder: Path) -> None:
    """Until it is killed."""
    bad_models.film(folder / "film")
    node = killed_node(folder)
    node.start()
    node.want(1, node.put(stub_bundle(folder / "good", delay_ms=4.0), 1))
    await node.serves(1)
    await node.until(lambda: "shelf" in node.device.last_good)
    bad = node.put(stub_bundle(folder / "bad", delay_ms=4.0, crash_from=CRASHES_AT), 2)
    node.want(2, bad, trial=TRIAL)
    for state in ("on", "returned"):
        await node.until(lambda state=state: node.state() == state)  # type: ignore[misc]
        print(state, bad, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
