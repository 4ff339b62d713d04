"""Never cold: a swap under load, a restart to the first answer, and what the processes hold, of `edge-node serve`."""

import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from tests.benchmarks.figures import Figure, median
from tests.benchmarks.serving import node, peers
from tests.benchmarks.serving.load import Load, load
from tests.benchmarks.serving.peers import MODEL, Values
from tests.benchmarks.serving.started import Server, pss_kb, started, tree

NAME = "never cold"
STARTS, SWAPS = 5, 3
SWAP_S = 2.0
CONCURRENCY = 4


def measure(data: Path) -> list[Figure]:
    """For the real MobileNetV2 in both formats."""
    photo = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    figures = []
    for suffix in ("tflite", "onnx"):
        model = data / "models" / f"mobilenet_v2_int8.{suffix}"
        figures += [*_restart(model, photo), *_memory(model, photo)]
    return [*figures, *_swap(data / "models" / "mobilenet_v2_int8.onnx", photo)]


def _restart(model: Path, values: Values) -> list[Figure]:
    """Start to first answer: of the node, and of a script that only answers itself; files are in the page cache."""
    bare, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        for _ in range(STARTS):
            with _Bare(model) as script:
                bare.append(script.first_s)
            with _serving(model, values, log) as server:
                ours.append(server.started_s)
    mine, theirs = median(ours), median(bare)
    note = f"{mine:.2f} s in three processes; {theirs:.2f} s for a script that answers itself"
    return [
        Figure(NAME, f"{model.suffix}: start to first answer ÷ bare script", mine / theirs, "x", "<= 1.5", note),
        Figure(NAME, f"{model.suffix}: start to first answer", round(mine, 3), "s", "<= 0.6"),
    ]


def _memory(model: Path, values: Values) -> list[Figure]:
    """After some load: the serving process, and the worker with one instance beside a script with the same model."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _Bare(model) as script,
        _serving(model, values, Path(folder, "log"), "--instances", "1") as server,
    ):
        server.drive(CONCURRENCY, SWAP_S)
        serving, worker = (_child_mb(server, module) for module in ("edge_node.serving", "edge_node.worker"))
        bare = pss_kb(script.process.pid) / 1024
    return [
        Figure(NAME, f"{model.suffix}: serving process", round(serving, 1), "MB", "<= 45", "PSS after load"),
        Figure(
            NAME, f"{model.suffix}: worker ÷ bare script", worker / bare, "x", "<= 1.2", f"{worker:.0f} ÷ {bare:.0f} MB"
        ),
    ]


def _swap(model: Path, values: Values) -> list[Figure]:
    """Requests lost, and the tail while a changed file comes to serve, beside that of a steady load before."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, f"changing{model.suffix}")
        _replace(copy, model.read_bytes())
        begin, log = node.start(copy), Path(folder, "log")
        # over REST: the load generator sees whether an answer is one by its status, which gRPC says in trailers
        with started(begin, lambda http, rpc: peers.by_rest(http, rpc, values), log) as server:
            steady, swapped, took = [], [], []
            for _ in range(SWAPS):
                steady.append(load(server.request, CONCURRENCY, SWAP_S))
                _replace(copy, model.read_bytes())
                swap = _Swap(server.request.address)
                swapped.append(load(server.request, CONCURRENCY, SWAP_S))
                took.append(swap.over())
    lost = sum(one.failed for one in (*steady, *swapped))
    ratio = median([during.p99 / before.p99 for before, during in zip(steady, swapped, strict=True)])
    answers = sum(round(one.per_second * SWAP_S) for one in swapped)
    note = f"{_tails(swapped)}, steady {_tails(steady)} ms at {CONCURRENCY}; a swap takes {median(took):.2f} s"
    return [
        Figure(NAME, f"{SWAPS} swaps under load: requests lost", lost, "", "<= 0", f"of {answers}"),
        Figure(NAME, "p99 during a swap ÷ steady", round(ratio, 2), "x", "<= 1.2", note),
    ]


class _Swap:
    """Has the model loaded anew in the middle of a load."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._took = 0.0
        self._failed = ""
        self._thread = threading.Thread(target=self._load)
        self._thread.start()

    def over(self) -> float:
        """Seconds that it took.

        Raises:
            RuntimeError: it was refused.
        """
        self._thread.join()
        if self._failed:
            raise RuntimeError(self._failed)
        return self._took

    def _load(self) -> None:
        time.sleep(SWAP_S / 2)
        begun = time.perf_counter()
        url = f"http://{self._address}/v2/repository/models/{MODEL}/load"
        try:
            urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=30).read()
        except OSError as error:
            self._failed = str(error)
        self._took = time.perf_counter() - begun


class _Bare:
    """`bare.py` with one session of one thread that has answered once; it waits then."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(model), "once"]
        begun = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.first_s = time.perf_counter() - begun

    def __enter__(self) -> "_Bare":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def _serving(model: Path, values: Values, log: Path, *options: str) -> AbstractContextManager[Server]:
    return started(node.start(model, *options), lambda http, rpc: peers.by_grpc(http, rpc, values), log)


def _child_mb(server: Server, module: str) -> float:
    """The memory of the node's process that runs a module."""
    found = [pid for pid in tree(server.process.pid) if module in _command(pid)]
    return sum(map(pss_kb, found)) / 1024


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")


def _replace(path: Path, content: bytes) -> None:
    """As files are replaced in use: at once."""
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(content)
    beside.replace(path)


def _tails(loads: list[Load]) -> str:
    return "/".join(f"{one.p99:.1f}" for one in loads)
