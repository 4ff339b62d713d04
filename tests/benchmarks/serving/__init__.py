"""Serving: the node beside the bare engine and beside other servers, with one load generator.

Every figure is a ratio to the bare engine, measured just before and just after in the same run, or to another server
of it. The ceiling says what of the bare engine a gRPC server on these cores could keep at best. Answers per second and
the rest stand in the notes.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from tests.benchmarks.figures import Figure
from tests.benchmarks.serving import networks, node, peers
from tests.benchmarks.serving.limit import Limit
from tests.benchmarks.serving.load import Request
from tests.benchmarks.serving.peers import Absent, Peer, Values
from tests.benchmarks.serving.started import Driven, Server, Start, started
from tests.conftest import ROOT

SECONDS = 1.5
CONCURRENCY = (1, 16)
NAME = "serving"
PARTS = ("real", "tiny", "mobilenetv2", "resnet50", "bert")
"""what the names of cases begin with: each part can be measured by itself"""


@dataclass(frozen=True)
class Case:
    """A model, an input, and the goals: answers of the bare engine's, over gRPC and with shared memory."""

    name: str
    model: Path
    values: Values
    grpc_goal: str
    shared_goal: str
    compared: bool = True
    """with the other servers"""
    batches: bool = True

    @property
    def has_ceiling(self) -> bool:
        """Whether the ceiling's one engine call a request is the most there is: batches of tiny models do more."""
        return self.name not in ("tiny", "bert")


@dataclass(frozen=True)
class Row:
    """What a server did: by concurrency, and the bare engine beside it."""

    server: str
    limit: float
    driven: dict[int, Driven]
    pss_mb: float
    started_s: float

    def ratio(self, concurrency: int) -> float:
        """Of the bare engine's answers."""
        return self.driven[concurrency].load.per_second / self.limit

    @property
    def note(self) -> str:
        """Answers per second, milliseconds, what it cost."""
        loads = {number: one.load for number, one in self.driven.items()}
        rates = " · ".join(f"{one.per_second:.0f}" for one in loads.values())
        tails = " · ".join(f"{one.p50:.1f}/{one.p95:.1f}/{one.p99:.1f}" for one in loads.values())
        cpu = " · ".join(f"{one.cpu_ms:.2f}" for one in self.driven.values())
        failed = sum(one.failed for one in loads.values())
        return (
            f"{rates}/s at {' · '.join(map(str, loads))} of {self.limit:.0f}; p50/95/99 {tails} ms; "
            f"{cpu} ms processor each; {self.pss_mb:.0f} MB{f'; {failed} failed' if failed else ''}"
        )


def measure(data: Path, part: str = "") -> list[Figure]:
    """The cases of a part of `PARTS`, all of them by default."""
    if shutil.which("h2load") is None:
        return [Figure(NAME, "not measured", 0, "", note="h2load is not installed: Debian's package nghttp2-client")]
    built = networks.build(ROOT / "build" / "bench-models")
    photo = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    real = partial(Case, values=photo, grpc_goal=">= 0.97", shared_goal=">= 0.97", compared=False, batches=False)
    network = {name: partial(Case, name, path, networks.example(name)) for name, path in built.items()}
    cases = (
        real("real MobileNetV2, .tflite", data / "models" / "mobilenet_v2_int8.tflite"),
        real("real MobileNetV2, .onnx", data / "models" / "mobilenet_v2_int8.onnx"),
        network["tiny"]("", ""),
        network["mobilenetv2"](">= 0.7", ">= 0.9"),
        network["resnet50"](">= 0.95", ">= 0.97"),
        network["bert"]("", "", compared=False),
    )
    return [figure for case in cases if case.name.startswith(part) for figure in _figures(case)]


def _figures(case: Case) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, Limit(case.model, batches=case.batches) as limit:
        log = Path(folder, "log")
        rows = _node_rows(case, limit, log)
        figures = _node_figures(case, rows, limit)
        if case.has_ceiling:
            figures += _ceiling_figures(case, rows, _ceiling_rows(case, limit, log), limit)
        if case.compared:
            others, absent = _other_rows(case, limit, log)
            figures += absent + _compared(case, rows[0], others)
        return figures


def _node_rows(case: Case, limit: Limit, log: Path) -> list[Row]:
    """Over gRPC, with shared memory, over REST."""
    with started(node.start(case.model), lambda http, rpc: peers.by_grpc(http, rpc, case.values), log) as server:
        rows = [_row("node, gRPC", server, limit)]
        with node.in_shared_memory(server, server.request.address, case.values) as shared:
            server.request = shared
            rows.append(_row("node, shared memory", server, limit))
    with started(node.start(case.model), lambda http, rpc: peers.by_rest(http, rpc, case.values), log) as server:
        return [*rows, _row("node, REST", server, limit)]


def _ceiling_rows(case: Case, limit: Limit, log: Path) -> list[Row]:
    """Asked over gRPC, and as with shared memory, which it does not read."""
    begin: Start = partial(_start_peer, peers.CEILING, case.model)
    with started(begin, partial(_ask_peer, peers.CEILING, case.values), log) as server:
        rows = [_row("ceiling, gRPC", server, limit)]
        server.request = replace(server.request, body=peers.grpc_body(case.values, "nowhere"))
        return [*rows, _row("ceiling, shared memory", server, limit)]


def _other_rows(case: Case, limit: Limit, log: Path) -> tuple[list[tuple[Peer, Row]], list[Figure]]:
    rows, absent = [], []
    for peer in peers.PEERS:
        begin: Start = partial(_start_peer, peer, case.model)
        asked: Callable[[str, str], Request] = partial(_ask_peer, peer, case.values)
        try:
            with started(begin, asked, log) as server:
                rows.append((peer, _row(peer.name, server, limit)))
        except (Absent, RuntimeError) as error:
            absent.append(Figure(NAME, f"{case.name}: {peer.name}", 0, "", note=f"not measured: {error}"))
    if case.name == "tiny":
        nothing = replace(peers.PEERS[0], name="a gRPC server that answers without inference")
        silent: Start = partial(_start_peer, nothing, case.model, inference=False)
        with started(silent, partial(_ask_peer, nothing, case.values), log) as server:
            rows.append((nothing, _row(nothing.name, server, limit)))
    return rows, absent


def _start_peer(
    peer: Peer, model: Path, ports: tuple[int, int], log: Path, *, inference: bool = True
) -> "subprocess.Popen[bytes]":
    return peers.start(peer, model, ports, log, inference=inference)


def _ask_peer(peer: Peer, values: Values, http: str, rpc: str) -> Request:
    return peer.request(http, rpc, values)


def _row(name: str, server: Server, limit: Limit) -> Row:
    """Drive a server at every concurrency, the bare engine before and after."""
    before = limit.per_second(SECONDS)
    driven = {concurrency: server.drive(concurrency, SECONDS) for concurrency in CONCURRENCY}
    after = limit.per_second(SECONDS)
    return Row(name, (before + after) / 2, driven, server.pss_mb(), server.started_s)


def _node_figures(case: Case, rows: list[Row], limit: Limit) -> list[Figure]:
    goals = (case.grpc_goal, case.shared_goal, "")
    figures = [
        Figure(NAME, f"{case.name}: {row.server} ÷ bare engine", round(row.ratio(16), 3), "", goal, row.note)
        for row, goal in zip(rows, goals, strict=True)
    ]
    alone = limit.p50(SECONDS)
    added = ("<= 1.0" if not case.compared else "", "<= 0.5")
    return figures + [_added(case, row, alone, goal) for row, goal in zip(rows[:2], added, strict=True)]


def _ceiling_figures(case: Case, rows: list[Row], ceilings: list[Row], limit: Limit) -> list[Figure]:
    """What gRPC and the engine alone reach, and how much of it the node does, at 16 and for one request at a time."""
    alone = limit.p50(SECONDS)
    figures = []
    for row, ceiling in zip(rows, ceilings, strict=False):  # REST has none
        share, of = ceiling.ratio(16), row.ratio(16) / ceiling.ratio(16)
        figures += [
            Figure(NAME, f"{case.name}: {ceiling.server} ÷ bare engine", round(share, 3), "", "", ceiling.note),
            _added(case, ceiling, alone, ""),
            Figure(NAME, f"{case.name}: {row.server} ÷ ceiling", round(of, 3), "", "", "at 16"),
        ]
    return figures


def _added(case: Case, row: Row, alone: float, goal: str) -> Figure:
    """What one request at a time waits beside the engine."""
    p50 = row.driven[1].load.p50
    note = f"{p50:.2f} ms, the engine alone {alone:.2f}"
    return Figure(NAME, f"{case.name}: {row.server}, added p50 at 1", round(p50 - alone, 2), "ms", goal, note)


def _compared(case: Case, own: Row, others: list[tuple[Peer, Row]]) -> list[Figure]:
    figures = [
        Figure(NAME, f"{case.name}: {row.server} ÷ bare engine", round(row.ratio(16), 3), "", "", row.note)
        for _, row in others
    ]
    products = [row for peer, row in others if peer.product]
    for concurrency in CONCURRENCY if products else ():
        best = max(products, key=lambda row: row.ratio(concurrency))
        times = own.ratio(concurrency) / best.ratio(concurrency)
        goal = ">= 1.5" if case.name == "tiny" else ""
        name = f"{case.name}: node ÷ best product at {concurrency}"
        figures.append(Figure(NAME, name, round(times, 2), "", goal, best.server))
        calm = min(products, key=lambda row: row.driven[concurrency].load.p99)
        tail = own.driven[concurrency].load.p99 / calm.driven[concurrency].load.p99
        name = f"{case.name}: p99 ÷ best product's at {concurrency}"
        figures.append(Figure(NAME, name, round(tail, 2), "", "<= 1.0", calm.server))
    nothing = next((row for _, row in others if "without inference" in row.server), None)
    if nothing is not None:
        share = own.driven[16].load.per_second / nothing.driven[16].load.per_second
        figures.append(Figure(NAME, f"{case.name}: node ÷ {nothing.server}", round(share, 2), "", ">= 0.9"))
    return figures
