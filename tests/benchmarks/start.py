"""Process start to first result: `edge-node infer` ÷ the bare script, both on the same photo, interleaved."""

import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.figures import Figure, median
from tests.benchmarks.worked import MODELS, bare_command

ROUNDS = 7


def measure(data: Path) -> list[Figure]:
    """The ratio for both files of the model."""
    photo, labels = data / "images" / "parrot.jpg", data / "models" / "imagenet_labels.txt"
    figures = []
    for file in MODELS:
        model = data / "models" / file
        ours = [sys.executable, "-m", "edge_node", "infer", str(model), "--labels", str(labels), "--input", str(photo)]
        theirs = bare_command(model, photo)
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(ROUNDS):
            times["theirs"].append(first_line_s(theirs))
            times["ours"].append(first_line_s([*ours, "--json"]))
        mine, bare = median(times["ours"]), median(times["theirs"])
        note = f"edge-node infer {mine:.2f} s, bare script {bare:.2f} s, to the first line printed"
        figures.append(Figure("start", f"{model.suffix} start to first result", mine / bare, "x", "<= 1.5", note))
    return figures


def first_line_s(command: list[str]) -> float:
    """Seconds from the start of a process to the first line that it prints.

    Raises:
        RuntimeError: it printed nothing.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        elapsed = time.perf_counter() - begun
        process.stdout.read()
    if not line.strip():
        raise RuntimeError(f"{' '.join(command)} printed nothing")
    return elapsed
