"""The worker's messages as bytes."""

import io

from hypothesis import given
from hypothesis import strategies as st

from edge_node.pipeline.observation import Observation
from edge_node.worker.framing import LENGTH, pack, read_request, reply_in
from edge_node.worker.messages import Done, Failed, Load, Observed, PipelineRun, Prove, Reply, Start, Status, Stop
from protos.result import Frame, LatencyMs

REQUESTS = st.one_of(
    st.builds(Prove, st.integers(0, 2**31), st.text(), st.none() | st.text(), st.integers(1, 8)),
    st.builds(Load, st.integers(0, 2**31), st.text(), st.text(), st.text()),
    st.builds(Start, st.integers(0, 2**31), st.builds(PipelineRun, st.text(), st.text(), st.text())),
    st.builds(Stop, st.integers(0, 2**31), st.text()),
)


@given(st.lists(REQUESTS))
def test_requests_come_out_as_they_went_in(requests: list[Prove | Load | Start | Stop]) -> None:
    stream = io.BytesIO(b"".join(map(pack, requests)))
    assert [read_request(stream.read) for _ in requests] == requests
    assert read_request(stream.read) is None


@given(REQUESTS, st.integers(0, 3))
def test_a_stream_that_breaks_off_ends(request_: Prove | Load | Start | Stop, missing: int) -> None:
    data = pack(request_)[: -1 - missing]
    assert read_request(io.BytesIO(data).read) is None


def test_replies_come_out_as_they_went_in() -> None:
    seen = Observation(
        pipeline="shelf",
        session="m@1",
        captured_ns=1,
        latency_ms=LatencyMs(1, 2, 3, 4),
        task="classification",
        outputs=({"label": "macaw", "score": 0.99, "index": 89},),
        stream_time_s=0.5,
        frame=Frame(1280, 720),
    )
    replies: list[Reply] = [Done(1, elapsed_ms=2.5), Failed(2, "why"), Observed((seen,)), Status((), ("m@1",), 60_000)]
    assert [reply_in(pack(reply)[LENGTH.size :]) for reply in replies] == replies
