"""What looking at a file before an engine does costs: each real model, and each hostile file of the corpus.

A node looks at a bundle's files at each verification, a coordinator at each push. The dearest of either kind is a row.
"""

import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from protos.errors import ContractError
from tests.benchmarks.figures import Figure, median
from tests.hostile.corpus import build
from tests.hostile.looking import ENGINES, look

ROUNDS = 5


def measure(data: Path) -> list[Figure]:
    """Milliseconds of the file that takes longest, real and hostile."""
    models = [path for path in (data / "models").iterdir() if path.suffix in ENGINES]
    with tempfile.TemporaryDirectory() as folder:
        hostile = [one.path for one in build(Path(folder)).values() if one.stopped_by == "admission"]
        return [
            _dearest("the real model that takes longest", models),
            _dearest("the hostile file that takes longest", hostile),
        ]


def _dearest(name: str, files: Iterable[Path]) -> Figure:
    times = {path: median([_ms(path) for _ in range(ROUNDS)]) for path in files}
    path = max(times, key=lambda one: times[one])
    size = path.stat().st_size / 1e6
    return Figure("admission", name, times[path], "ms", "<= 100", f"{path.name}, {size:.2g} MB; of {len(times)} files")


def _ms(path: Path) -> float:
    begun = time.perf_counter()
    with suppress(ContractError):
        look(path)
    return (time.perf_counter() - begun) * 1e3
