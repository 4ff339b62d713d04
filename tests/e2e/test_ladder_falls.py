"""A lost accelerator degrades, visibly, where models are served: under `edge-node serve` and under `edge-node run`.

The promise is 5 s to the next rung (V6); what is waited for here leaves room for a machine that does other things, too.
"""

import re
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.inference import grpc_service_pb2 as oip
from tests.e2e.fleet import CLIP, Fleet, deployment, fleet
from tests.e2e.fleet import until as until_patiently
from tests.e2e.laddered import ANSWER, Accelerators, laddered_bundle, picture
from tests.integration.serving_world import Running, serving, stub_on

pytestmark = pytest.mark.timeout(240)

FALL_S = 15.0
BEFORE_LOADING_S = 3.0
"""A rung that hangs while it is loaded is given this long at least."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Accelerators]:
    """A folder with the bundle and the configuration: what one server has proven, the next one knows."""
    folder = tmp_path_factory.mktemp("ladder")
    laddered_bundle(folder / "tiny")
    accelerators = Accelerators(folder, "npu", "gpu", "dsp")
    (folder / "edge-node.toml").write_text(accelerators.toml)
    return folder, accelerators


def test_rungs_that_fail_crash_and_hang_under_serve_are_relieved_one_after_the_other(
    shared: tuple[Path, Accelerators],
) -> None:
    folder, accelerators = shared
    with laddered_server(folder) as running:
        fallen: list[str] = []
        for command in ("fail", "crash", "hang"):
            at = until(lambda: rung(running) or None, "a rung in the metrics")
            assert at != "stub/cpu"
            accelerators.tell(at, command)
            begun = time.monotonic()
            until(lambda: right(running.stub), "the next rung to answer")
            print(f"{command}: {time.monotonic() - begun:.1f} s")
            is_shown(running, at)
            fallen.append(at)
        assert rung(running) == "stub/cpu"
        assert len(set(fallen)) == 3


def test_a_rung_that_hangs_while_it_is_loaded_is_given_up_for_the_next(shared: tuple[Path, Accelerators]) -> None:
    folder, accelerators = shared
    for name in ("npu", "gpu", "dsp"):
        accelerators.tell(name, "")
    with laddered_server(folder) as running:
        best = until(lambda: rung(running) or None, "a rung in the metrics")
    accelerators.tell(best, "hang")
    begun = time.monotonic()
    with laddered_server(folder) as running:
        assert right(running.stub)
        took_s = time.monotonic() - begun
        print(f"hang while loading: {took_s:.1f} s")
        assert BEFORE_LOADING_S < took_s < BEFORE_LOADING_S + FALL_S
        is_shown(running, best)
        assert "it hung (no answer within 3 s) while loading model.stub" in reason(running)
    accelerators.tell(best, "")


@pytest.mark.needs("mosquitto")
def test_a_node_reports_the_falls_of_its_accelerators_and_its_pipeline_and_clients_go_on(tmp_path: Path) -> None:
    accelerators = Accelerators(tmp_path, "npu")
    configured = '[serving]\ngrpc = "127.0.0.1:0"\nhttp = ""\nmetrics = "127.0.0.1:0"\n' + accelerators.toml
    (tmp_path / "edge-node.toml").write_text(configured)
    with fleet(tmp_path) as world:
        world.coordinate()
        world.run("edgectl", "model", "push", str(laddered_bundle(tmp_path / "tiny")))
        world.node(CLIP, "--config", "edge-node.toml")
        until_patiently(lambda: "online" in world.run("edgectl", "node", "list"), "the node to be online")
        file = deployment(world, "tiny@1", serving="{instances: 1}")
        world.run("edgectl", "deployment", "apply", str(file))
        until_patiently(lambda: world.serving() == {"shelf": 1}, "the model to serve")
        assert world.status()["deployments"][0]["accelerator"] == "npu"
        accelerators.tell("npu", "hang")
        until(lambda: fell(world) and node_answers(world), "the processor to answer")
        last = world.status()["outbox"]["last_seq"]
        until(lambda: world.status()["outbox"]["last_seq"] > last, "a result of the processor")
        until(lambda: "fell back from stub/npu: " in world.run("edgectl", "node", "show", "cam-3"), "the coordinator")


def until(condition: Callable[[], Any], what: str) -> Any:
    """As the fleet's, for as long as a fall may take."""
    return until_patiently(condition, what, FALL_S)


def laddered_server(folder: Path) -> AbstractContextManager[Running]:
    """`edge-node serve` of the bundle."""
    options = ("--config", str(folder / "edge-node.toml"), "--instances", "1")
    return serving(folder / "tiny", options=options, cache=folder / "cache")


def metrics(running: Running) -> str:
    """What Prometheus would read."""
    with urllib.request.urlopen(f"http://{running.ready['metrics']}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def rung(running: Running) -> str:
    """What the model runs on, as the metrics say; empty while it does not."""
    found = re.search(r'^edge_model_on\{model="tiny",rung="([^"]+)"', metrics(running), re.MULTILINE)
    return found[1] if found else ""


def is_shown(running: Running, at: str) -> None:
    """That the model has fallen from a rung is in the metrics and the index; the server is well."""
    until(lambda: rung(running) not in ("", at), f"another rung than {at} in the metrics")
    assert re.search(r'^edge_model_fell_back\{model="tiny",version="1"\} 1\.0$', metrics(running), re.MULTILINE)
    assert f"fell back from {at}: " in reason(running)
    assert running.is_ready()


def right(stub: Any, timeout_s: float = 5.0) -> bool:
    """Whether the model gives its answer here."""
    try:
        return bytes(stub.ModelInfer(picture("tiny"), timeout=timeout_s).raw_output_contents[0]) == ANSWER.tobytes()
    except grpc.RpcError:
        return False


def reason(running: Running) -> str:
    """What the index says of the model."""
    (one,) = running.stub.RepositoryIndex(oip.RepositoryIndexRequest(), timeout=10).models
    return str(one.reason)


def fell(world: Fleet) -> bool:
    """Whether the node reports that its model fell to the processor, and runs."""
    (one,) = world.status()["deployments"]
    why = "fell back from stub/npu: " in one.get("reason", "")
    return why and (one["phase"], one["accelerator"]) == ("running", "cpu")


def node_answers(world: Fleet) -> bool:
    """Whether the node gives a client the model's answer."""
    with grpc.insecure_channel(world.status()["serving"]["grpc"]) as channel:
        return right(stub_on(channel))
