"""The bare engine beside what is measured: the best of the ways to use two cores, in the same run."""

import json
import subprocess
import sys
from pathlib import Path

WAYS = ((1, 1, 1), (1, 2, 1), (2, 1, 1))
"""sessions, threads of each, samples at once"""
BATCHED = (2, 1, 8)
TRY_S = 1.0


class Limit:
    """`bare.py` as a process that waits between measurements."""

    def __init__(self, model: Path, *, batches: bool) -> None:
        self._ways = (*WAYS, BATCHED) if batches else WAYS
        command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(model)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._best = max(WAYS, key=lambda way: self._measured(way, TRY_S)["per_second"])

    def __enter__(self) -> "Limit":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def per_second(self, seconds: float) -> float:
        """Samples per second, one at a time, in the way that was best."""
        return self._measured(self._best, seconds)["per_second"]

    def batched(self, seconds: float) -> float:
        """Samples per second in the best way of all, several at once included."""
        return max(self._measured(way, seconds)["per_second"] for way in self._ways)

    def p50(self, seconds: float) -> float:
        """Milliseconds of an inference by one session of one thread."""
        return self._measured(WAYS[0], seconds)["p50"]

    def _measured(self, way: tuple[int, int, int], seconds: float) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{' '.join(map(str, way))} {seconds}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found
