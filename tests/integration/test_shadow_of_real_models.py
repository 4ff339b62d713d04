"""The INT8 model of one engine beside that of another, on a real clip."""

from pathlib import Path

import pytest

from edge_node.config import Source
from protos.evidence import Shadow, merged, quantile
from tests.benchmarks.worked import MODELS, bundle_of
from tests.integration.shadow_world import node
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)

ENOUGH = 60


async def test_the_same_network_in_two_engines_agrees_on_nearly_every_frame(data: Path, tmp_path: Path) -> None:
    labels = data / "models" / "imagenet_labels.txt"
    one, two = (bundle_of(data / "models" / file, labels, tmp_path / Path(file).suffix[1:]) for file in MODELS)
    async with node(tmp_path, Source(str(data / "video" / "cockatoo.mp4"), loop=True)) as looking:
        current = looking.put(one, 1)
        looking.want(current)
        await looking.serves()
        digest = looking.put(two, 2)
        looking.want(current, Shadow("r1", "m", 2, digest, report_s=1.0))
        await until(lambda: (told := looking.told()) and merged(told.evidence).compared >= ENOUGH, "comparisons")
        told = looking.told()
        assert told is not None
        candidate, reference = merged(told.evidence), merged(told.reference)
        print(f"agreed {candidate.agreed} of {candidate.compared}, mean distance {candidate.distance / ENOUGH:.3f}")
        print(f"left out {told.left_out}, {told.memory_mb} MB, p50 {quantile(candidate.latency, 0.5):.1f} ms")
        assert candidate.agreed >= 0.8 * candidate.compared
        assert candidate.distance <= 0.3 * candidate.compared
        assert sum(candidate.confidence) == sum(reference.confidence) == candidate.samples
        assert told.memory_mb > 20
        worker = looking.device.worker
        assert worker is not None
        assert worker.status is not None
        assert worker.status.pipelines[0].failed == 0
