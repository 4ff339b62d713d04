"""One engine tried for real, in a process of its own: `python -m edge_node.cli.trial litert`.

An engine may import and still not run (another numpy, a processor without an instruction): only a model that
answered shows that it works. Prints a `Trial` as JSON.
"""

import base64
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from edge_node.errors import NearfieldError

TIMEOUT_S = 60.0

_NEGATE = {
    "onnxruntime": (
        ".onnx",
        "CAcSADoyCgsKAXgSAXkiA05lZxIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=",
    ),
    "litert": (
        ".tflite",
        (
            "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAAcAAAA0AAAAAMAAAABAAAACAAAAAQABAAEAAAAAQAAABAAAAAMABQAEAAMAAgABAAM"
            "AAAAEAAAADwAAABAAAAARAAAAAEAAAAQAAAAAAAKAAwAAAAIAAQACgAAAAgAAAAMAAAAAQAAAAEAAAABAAAAAAAAAAEAAAABAAAAAQAAAAAA"
            "AAACAAAAMAAAAAQAAADk////CAAAAAwAAAABAAAAeQAAAAEAAAABAAAADAAMAAgAAAAAAAQADAAAAAgAAAAMAAAAAQAAAHgAAAABAAAAAQAA"
            "AAEAAAAQAAAADAAMAAsAAAAAAAQADAAAADsAAAAAAAA7"
        ),
    ),
}
"""The smallest model of each format: y = -x, float32 [1]."""


class Trial(msgspec.Struct, frozen=True):
    """How an engine did; `error` is why it does not work, one line, and `remedy` the command that gets it."""

    engine: str
    version: str = ""
    accelerators: tuple[str, ...] = ()
    error: str = ""
    remedy: str = ""

    @property
    def works(self) -> bool:
        """Whether it answered."""
        return not self.error


def try_engine(engine: str) -> Trial:
    """The trial of an engine in a child process, which it may take with it."""
    command = [sys.executable, "-m", "edge_node.cli.trial", engine]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Trial(engine, error=f"it did not answer within {TIMEOUT_S:.0f} s")
    if done.returncode != 0:
        return Trial(engine, error=how_it_ended(done.returncode, done.stderr.decode(errors="replace")))
    return msgspec.json.decode(done.stdout, type=Trial)


def how_it_ended(returncode: int, stderr: str) -> str:
    """Why a child process gave nothing: the signal, or the last line that it wrote."""
    if returncode < 0:
        return f"its process died of signal {-returncode}"
    lines = stderr.strip().splitlines()
    return lines[-1] if lines else f"its process ended with {returncode}"


def trial(engine: str) -> Trial:
    """Try the engine in this process."""
    import numpy as np

    from edge_node.engine.catalog import find, survey

    fact = survey([engine])[0]
    if fact.missing:
        return Trial(engine, error=fact.missing, remedy=fact.remedy)
    suffix, model = _NEGATE["onnxruntime" if engine == "openvino" else engine]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"negate{suffix}")
        path.write_bytes(base64.b64decode(model))
        try:
            session = find(engine).open(path, threads=1)
            answer = session.run({"x": np.array([2.5], np.float32)})["y"].tolist()
        except NearfieldError as error:
            return Trial(engine, fact.version, error=str(error))
    wrong = "" if answer == [-2.5] else f"it says that -(2.5) is {answer}"
    return Trial(engine, fact.version, fact.accelerators, error=wrong)


if __name__ == "__main__":
    print(msgspec.json.encode(trial(sys.argv[1])).decode())
