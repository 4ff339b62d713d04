"""MLPerf LoadGen's scenarios, a few seconds each: `python scenarios.py MODEL inside|HOST:PORT`.

Inside: ONNX Runtime in this process, two sessions of one thread (Offline: eight samples at once). Else a server of
the Open Inference Protocol, the samples in shared memory that it is told of (Offline: sixteen asks of eight samples).
Prints a line of JSON: milliseconds of SingleStream, samples per second of Offline, and the highest rate of Server at
which the 99th percentile stays within the bound.
"""

import json
import queue
import re
import shutil
import sys
import tempfile
import threading
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import mlperf_loadgen as lg
import numpy as np

BOUND_MS = 50.0
SECONDS = 3.0
SAMPLES, AT_ONCE, IN_FLIGHT = 16, 8, 16
EXAMPLES = np.random.default_rng(0).standard_normal((SAMPLES, 3, 224, 224)).astype(np.float32)
SAMPLE_BYTES = EXAMPLES[0].nbytes
INFER = "/inference.GRPCInferenceService/ModelInfer"
REGISTER = "/inference.GRPCInferenceService/SystemSharedMemoryRegister"


def complete(samples: list[Any]) -> None:
    """Tell LoadGen that samples are answered."""
    lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0) for sample in samples])


class Inside:
    """The engine in this process."""

    def __init__(self, model: str) -> None:
        import onnxruntime as ort

        self._asked: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        for _ in range(2):
            options = ort.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            threading.Thread(target=self._work, args=(session,), daemon=True).start()

    def issue(self, samples: list[Any], at_once: int) -> None:
        """Take samples."""
        for begin in range(0, len(samples), at_once):
            self._asked.put(samples[begin : begin + at_once])

    def _work(self, session: Any) -> None:
        while True:
            samples = self._asked.get()
            session.run(None, {"input": EXAMPLES[[sample.index for sample in samples]]})
            complete(samples)


class Served:
    """A server, the samples in shared memory."""

    def __init__(self, address: str) -> None:
        import grpc

        from protos.inference import grpc_service_pb2 as oip

        self._oip = oip
        self._memory = SharedMemory(create=True, size=EXAMPLES.nbytes)
        np.frombuffer(self._memory.buf, np.float32)[:] = EXAMPLES.reshape(-1)
        channel = grpc.insecure_channel(address)
        region = oip.SystemSharedMemoryRegisterRequest(
            name="samples", key=f"/{self._memory.name}", byte_size=EXAMPLES.nbytes
        )
        channel.unary_unary(REGISTER)(region.SerializeToString(), timeout=5)
        self._infer = channel.unary_unary(INFER)
        self._bodies = {(index, count): self._body(index, count) for index in range(SAMPLES) for count in (1, AT_ONCE)}
        self._free = threading.Semaphore(IN_FLIGHT)

    def issue(self, samples: list[Any], at_once: int) -> None:
        """Take samples. Several at once lie one after the other, wherever they begin: speed alone is measured."""
        for begin in range(0, len(samples), at_once):
            part = samples[begin : begin + at_once]
            if at_once > 1:
                self._free.acquire()
            self._infer.future(self._bodies[part[0].index, at_once], timeout=60).add_done_callback(
                lambda answer, part=part: self._answered(answer, part, at_once)
            )

    def _answered(self, answer: Any, samples: list[Any], at_once: int) -> None:
        answer.result()
        complete(samples)
        if at_once > 1:
            self._free.release()

    def _body(self, index: int, count: int) -> bytes:
        begin = min(index, SAMPLES - count) * SAMPLE_BYTES
        request = self._oip.ModelInferRequest(model_name="m")
        given = request.inputs.add(name="input", datatype="FP32", shape=(count, 3, 224, 224))
        given.parameters["shared_memory_region"].string_param = "samples"
        given.parameters["shared_memory_byte_size"].int64_param = SAMPLE_BYTES * count
        given.parameters["shared_memory_offset"].int64_param = begin
        return bytes(request.SerializeToString())


def run(target: Any, scenario: str, rate: float = 100.0, seconds: float = SECONDS) -> dict[str, float]:
    """One scenario; its figures as LoadGen's summary has them."""
    settings = lg.TestSettings()
    settings.scenario, settings.mode = getattr(lg.TestScenario, scenario), lg.TestMode.PerformanceOnly
    settings.min_duration_ms, settings.max_duration_ms = int(seconds * 1e3), int(seconds * 4e3)
    settings.min_query_count = 1 if scenario == "Offline" else 20
    settings.server_target_qps, settings.offline_expected_qps = rate, rate
    settings.server_target_latency_ns, settings.server_target_latency_percentile = int(BOUND_MS * 1e6), 0.99
    settings.single_stream_expected_latency_ns = 1_000_000
    at_once = AT_ONCE if scenario == "Offline" else 1
    folder = tempfile.mkdtemp()
    output, logs = lg.LogOutputSettings(), lg.LogSettings()
    output.outdir, output.copy_summary_to_stdout = folder, False
    logs.log_output, logs.enable_trace = output, False
    tested = lg.ConstructSUT(lambda samples: target.issue(samples, at_once), lambda: None)
    library = lg.ConstructQSL(SAMPLES, SAMPLES, lambda _: None, lambda _: None)
    lg.StartTestWithLogSettings(tested, library, settings, logs)
    lg.DestroyQSL(library)
    lg.DestroySUT(tested)
    summary = Path(folder, "mlperf_log_summary.txt").read_text(encoding="utf-8")
    shutil.rmtree(folder)
    return {
        "p50_ms": _number(summary, "50.00 percentile latency (ns)") / 1e6,
        "p99_ms": _number(summary, "99.00 percentile latency (ns)") / 1e6,
        "offline": _number(summary, "Samples per second"),
        "served": _number(summary, "Completed samples per second"),
    }


def _number(summary: str, name: str) -> float:
    found = re.search(re.escape(name) + r"\s*:\s*([\d.e+]+)", summary)
    return float(found[1]) if found else 0.0


def highest(target: Any, offline: float) -> float:
    """The highest rate of the Server scenario within the bound, by bisection to some 5 %."""
    low, high, rate = 0.0, 0.0, offline * 0.7
    for _ in range(7):
        found = run(target, "Server", rate)
        if found["p99_ms"] <= BOUND_MS and found["served"] > 0.9 * rate:
            low = rate
        else:
            high = rate
        if high and low and high / low < 1.06:
            break
        rate = (low + high) / 2 if high else rate * 1.2
    return low


def main(model: str, where: str) -> None:
    """All three."""
    target: Any = Inside(model) if where == "inside" else Served(where)
    run(target, "SingleStream", seconds=1)
    single = run(target, "SingleStream")
    offline = run(target, "Offline", run(target, "Offline", seconds=1)["offline"])["offline"]
    print(json.dumps({"single_ms": single["p50_ms"], "offline": offline, "server": highest(target, offline)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
