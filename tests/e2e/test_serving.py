"""A node serves what is deployed to clients on the device, from the sessions of its pipelines, without a gap."""

import os
import shutil
import signal
from pathlib import Path

import grpc
import pytest

from protos.inference import grpc_service_pb2 as oip
from tests.e2e.fleet import INSPECTION, Fleet, deployment, fleet, serving_node, until
from tests.integration.serving_world import Clients, hang_up_lanes, stub_on

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]

CONFIG = '[serving]\ngrpc = "127.0.0.1:0"\nhttp = ""\nmetrics = "127.0.0.1:0"\n'

VARIANT = "inspection_int8.tflite"
"""The other takes float inputs: without a pin the faster of the two serves, and clients would have to notice."""


def test_a_deployed_model_answers_clients_and_its_next_version_takes_over_under_load(tmp_path: Path) -> None:
    with fleet(tmp_path) as world:
        world.coordinate()
        (tmp_path / "edge-node.toml").write_text(CONFIG, encoding="utf-8")
        serving_node(world, "--config", "edge-node.toml")
        assert not world.status()["serving"]["running"], "nothing is to be served yet"
        apply(world, 1)
        until(lambda: world.status()["serving"]["models"] == ["inspection@1"], "version 1 to be offered")
        ask, address = an_ask(world), world.status()["serving"]["grpc"]
        push_second(world)
        with Clients(address, ask) as clients:
            apply(world, 2)
            until(lambda: world.status()["serving"]["models"] == ["inspection@2"], "version 2 to relieve version 1")
            assert world.serving() == {"shelf": 2}
            count = clients.versions["2"]
            until(lambda: clients.versions["2"] > count, "answers of version 2")
        assert clients.lost == []
        assert set(clients.versions) == {"1", "2"}
        (reported,) = world.status()["deployments"]
        assert (reported["phase"], reported["offered_version"]) == ("running", 2)
        comes_back(world)
        world.run("edgectl", "deployment", "delete", "shelf")
        until(lambda: not world.status()["serving"]["running"], "the serving process to end with what it served")


def comes_back(world: Fleet) -> None:
    """Kill the worker, then the serving process, then their lane alone; each time the model answers again."""
    for module in ("edge_node.worker", "edge_node.serving"):
        os.kill(child_of(world.status()["pid"], module), signal.SIGKILL)
        until(lambda: answers(world), f"the model to answer after the death of {module}")
    hang_up_lanes(child_of(world.status()["pid"], "edge_node.worker"))
    until(lambda: answers(world), "the model to answer after its lane was lost")
    assert world.status()["serving"]["deaths"] == 1
    assert world.status()["worker"]["deaths"] == 1


def apply(world: Fleet, version: int) -> None:
    """Deploy a version to the pipeline and to clients, who find the same file in each."""
    file = deployment(world, f"inspection@{version}", serving="{instances: 2}", variant=VARIANT)
    world.run("edgectl", "deployment", "apply", "--now", str(file))


def push_second(world: Fleet) -> None:
    """Version 2 of the demo's model: the same with a line of description."""
    shutil.copytree(INSPECTION, world.folder / "second")
    manifest = world.folder / "second" / "model.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("fully in view", "in view"), encoding="utf-8")
    world.run("edgectl", "model", "push", "second")


def an_ask(world: Fleet) -> oip.ModelInferRequest:
    """A grey picture, as the model's metadata wants it."""
    with grpc.insecure_channel(world.status()["serving"]["grpc"]) as channel:
        wanted = oip.ModelMetadataRequest(name="inspection")
        (port,) = stub_on(channel).ModelMetadata(wanted, timeout=20).inputs
    shape = [abs(axis) for axis in port.shape]
    size = 1
    for axis in shape:
        size *= axis
    width = {"UINT8": 1, "INT8": 1, "FP32": 4}[port.datatype]
    tensor = oip.ModelInferRequest.InferInputTensor(name=port.name, datatype=port.datatype, shape=shape)
    return oip.ModelInferRequest(model_name="inspection", inputs=[tensor], raw_input_contents=[bytes(size * width)])


def answers(world: Fleet) -> bool:
    """Whether the model answers at the address that the node says now."""
    address = world.status()["serving"]["grpc"]
    try:
        ask = an_ask(world)
        with grpc.insecure_channel(address) as channel:
            return bool(stub_on(channel).ModelInfer(ask, timeout=5).raw_output_contents)
    except grpc.RpcError:
        return False


def child_of(agent: int, module: str) -> int:
    """The process id of the agent's child that runs a module."""
    children = map(int, Path(f"/proc/{agent}/task/{agent}/children").read_text(encoding="utf-8").split())
    (found,) = [pid for pid in children if module in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")]
    return found
