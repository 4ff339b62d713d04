"""What becomes of a worker's answer: outputs, classes, regions, failures, statistics, metrics."""

import struct
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest

from edge_node.lane.messages import Answer, Ask, Hello, Port, Sequence
from edge_node.serving.control import Index, ModelState, Timing
from edge_node.serving.inference import Caller, Inference, InputTensor, InRegion, Kind, RequestedOutput, ServingError
from edge_node.serving.metrics import ServingMetrics, registry_of
from tests.unit.serving.stub_worker import HELLO
from tests.unit.serving.world import HERE, ask, world

LABELLED = Hello(
    "s1",
    (Port("x", "UINT8", (1, 4)),),
    (Port("y", "UINT8", (1, 4)),),
    "stub",
    "cpu",
    labels=("a", "b", "c"),
    labelled="y",
)


def at(region: str) -> InputTensor:
    """The first four bytes of a region."""
    return InputTensor("x", "UINT8", (1, 4), InRegion(region, 0, 4))


async def test_classes_come_with_their_labels(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.serve(LABELLED)
        answered = await here.server.infer(ask(bytes((1, 9, 3, 5)), outputs=[RequestedOutput("y", classes=2)]), HERE)
    expected = b"".join(struct.pack("<I", len(text)) + text for text in (b"9:1:b", b"5:3"))
    (output,) = answered.outputs
    assert (output.datatype, output.shape, output.data) == ("BYTES", (2,), expected)


async def test_tensors_lie_in_the_clients_shared_memory_if_it_wants(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"abcd" + bytes(4))
    async with world(tmp_path) as here:
        here.server.region_table._folder = str(tmp_path)
        await here.serve()
        here.server.register("r", "/mine", 0, 8, HERE)
        into = [RequestedOutput("y", region=InRegion("r", 4, 4))]
        answered = await here.server.infer(Inference("m", "", [at("r")], into), HERE)
        with pytest.raises(ServingError, match="Unable to find"):
            await here.server.infer(Inference("m", "", [at("q")]), HERE)
    assert answered.outputs[0].data == InRegion("r", 4, 4)
    assert (tmp_path / "mine").read_bytes() == b"abcdabcd"


async def test_values_of_other_machines_have_to_be_finite(tmp_path: Path) -> None:
    """Load generators on this machine send any bytes as floats."""
    async with world(tmp_path) as here:
        worker = await here.serve()
        for caller in (HERE, Caller("unix:/run/socket"), Caller("ipv4:192.0.2.1:5")):
            await here.server.infer(ask(), caller)
    assert [one.finite for batch in worker.batches for one in batch] == [False, False, True]


async def test_shared_memory_is_for_this_machine(tmp_path: Path) -> None:
    there = Caller("192.0.2.1:5")
    async with world(tmp_path) as here:
        await here.serve()
        with pytest.raises(ServingError) as raised:
            here.server.register("r", "mine", 0, 8, there)
        assert raised.value.kind is Kind.DENIED
        with pytest.raises(ServingError, match="for clients on this machine"):
            here.server.unregister("", there)
        with pytest.raises(ServingError, match="for clients on this machine"):
            await here.server.infer(ask(outputs=[RequestedOutput("y", region=InRegion("r", 4, 4))]), there)
        assert (await here.server.infer(ask(), there)).outputs


@pytest.mark.parametrize(
    ("failure", "kind"),
    [("invalid", Kind.INVALID), ("deadline", Kind.DEADLINE), ("busy", Kind.BUSY), ("failed", Kind.FAILED)],
)
async def test_a_workers_failure_has_its_kind_and_reason(tmp_path: Path, failure: str, kind: Kind) -> None:
    def fail(ask: Ask, slot: memoryview) -> Answer:
        return Answer(failure=failure, reason="it is so")  # type: ignore[arg-type] # one of the words

    async with world(tmp_path) as here:
        await here.serve(answer=fail)
        with pytest.raises(ServingError, match="it is so") as raised:
            await here.server.infer(ask(), HERE)
    assert raised.value.kind is kind


async def test_a_recurrent_model_hears_which_sequence_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        worker = await here.serve(msgspec.structs.replace(HELLO, recurrent=True, max_batch=1, instances=2))
        await here.server.infer(ask(sequence=Sequence(7, start=True)), HERE)
        with pytest.raises(ServingError, match="correlation ID"):
            await here.server.infer(ask(), HERE)
    assert worker.batches[0][0].sequence == Sequence(7, start=True)


async def test_inputs_that_no_slot_holds_are_too_large(tmp_path: Path) -> None:
    hello = Hello("s1", (Port("x", "UINT8", (-1, 4)),), (Port("y", "UINT8", (-1, 4)),), "stub", "cpu")
    async with world(tmp_path, open_bytes=4096) as here:
        await here.serve(hello)
        with pytest.raises(ServingError, match="too large for model 'm'") as raised:
            await here.server.infer(ask(bytes(40_000)), HERE)
        assert (await here.server.infer(ask(bytes(4096)), HERE)).outputs[0].shape == (1024, 4)
    assert raised.value.kind is Kind.TOO_LARGE


async def test_statistics_add_up_and_go_on_over_a_replacement(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.serve()
        await here.server.infer(ask(bytes(12)), HERE)
        with pytest.raises(ServingError):
            await here.server.infer(ask(bytes(40)), HERE)
        await here.serve(msgspec.structs.replace(HELLO, session="s2"))
        await here.server.infer(ask(), HERE)
        (found,) = here.server.statistics("m", "").model_stats
        assert here.server.statistics("", "").model_stats == [found]
    stats = found.inference_stats
    assert (found.inference_count, found.execution_count, stats.success.count, stats.fail.count) == (4, 2, 2, 1)
    assert (stats.compute_infer.ns, stats.compute_infer.count) == (4000, 2)
    assert [(one.batch_size, one.compute_output.ns) for one in found.batch_stats] == [(1, 6000)]
    assert found.last_inference > 0


async def test_the_metrics_say_what_the_statistics_know(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        metrics = ServingMetrics(here.server)
        metrics.told(Timing("m", "1", "swap", 0.25))
        await here.serve()
        await here.server.infer(ask(bytes(12)), HERE)
        with pytest.raises(ServingError):
            await here.server.infer(ask(model="absent"), HERE)
        text = generate_latest(registry_of(metrics)).decode()
    for line in (
        'edge_inference_duration_seconds_bucket{le="+Inf",model="m",stage="queue",version="1"} 1.0',
        'edge_inference_duration_seconds_sum{model="m",stage="infer",version="1"} 2e-06',
        'edge_inferences_total{model="m",outcome="answered",version="1"} 1.0',
        'edge_rejected_total{reason="not_found"} 1.0',
        'edge_swap_seconds{model="m",version="1"} 0.25',
        'nv_inference_count{model="m",version="1"} 3.0',
        'nv_inference_request_success{model="m",version="1"} 1.0',
    ):
        assert line in text.splitlines()


async def test_readiness_is_what_the_parent_says_and_every_worker(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        assert here.server.ready()
        here.server.told(Index((ModelState("m", "1", "LOADING"),), ready=False))
        assert not here.server.ready()
        assert here.server.live()
        assert here.server.index()[0].state == "LOADING"
        for order in (here.server.load, here.server.unload):
            with pytest.raises(ServingError, match="load 'm', no m here") as raised:
                await order("m")
            assert raised.value.kind is Kind.FAILED
        with pytest.raises(ServingError) as raised:
            await here.server.load("n")
        assert raised.value.kind is Kind.NOT_FOUND
