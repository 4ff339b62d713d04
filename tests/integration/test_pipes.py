"""A reader that has enough, such as `head`, is no failure of the command that writes."""

import subprocess
import sys
from pathlib import Path

CLIP = Path(__file__).parent.parent.parent / "deploy" / "demo"


def test_a_reader_that_has_enough_is_not_a_failure() -> None:
    """Given more lines than a pipe holds, when the reader leaves after one, then the exit code is 0, without a word."""
    bundle, clip = CLIP / "inspection", CLIP / "clip" / "line.mp4"
    command = [sys.executable, "-m", "edge_node", "infer", str(bundle), "--input", str(clip), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), complaint) == (0, b"")
