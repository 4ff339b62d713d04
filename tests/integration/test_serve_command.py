"""`edge-node serve`: models from files answer clients, are swapped without a loss, and come back when processes die."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.conformance.tiny_models import onnx_model
from tests.conftest import ROOT
from tests.integration.serving_world import TWICE, Clients, Running, hang_up_lanes, refused, request, serving
from tests.waiting import comes_true

WORKER, SERVING = "edge_node.worker", "edge_node.serving"
SAME = b"\0\0\x80\xbf\0\0\0\xc0\0\0\x40\xc0\0\0\x80\xc0"
"""-1, -2, -3, -4: what the other version of the tiny model answers"""


def _written(path: Path) -> Path:
    path.write_bytes(b"no model at all")
    return path


def _twins(folder: Path) -> list[Path]:
    for name in ("a", "b"):
        (folder / name).mkdir()
        onnx_model(folder / name / "m.onnx")
    return [folder / "a" / "m.onnx", folder / "b" / "m.onnx"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: a raw file, and one in Triton's layout with two versions."""
    folder = tmp_path_factory.mktemp("models")
    onnx_model(folder / "twice.onnx")
    onnx_model(folder / "spare.onnx")
    for version in ("1", "2"):
        (folder / "numbered" / version).mkdir(parents=True)
        onnx_model(folder / "numbered" / version / "model.onnx", *(("Neg",) if version == "2" else ()))
    (folder / "numbered" / "config.pbtxt").write_text('name: "numbered"\nversion_policy: { all {} }\n')
    return folder


@pytest.fixture(scope="module")
def running(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(repository, cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


def test_every_model_of_a_folder_answers_and_says_so_in_a_line(running: Running) -> None:
    assert running.ask("twice") == TWICE
    told = {(one["model"], one["version"]) for one in running.said if "model" in one}
    assert told >= {("twice", "1"), ("spare", "1"), ("numbered", "1"), ("numbered", "2")}


def test_each_version_answers_and_the_newest_where_none_is_named(running: Running) -> None:
    assert running.ask("numbered", "1") == TWICE
    assert running.ask("numbered", "2") == SAME
    assert running.ask("numbered") == SAME


def test_the_index_has_every_model(running: Running) -> None:
    assert running.states().keys() == {("twice", "1"), ("spare", "1"), ("numbered", "1"), ("numbered", "2")}
    assert running.is_ready()


async def test_the_index_shows_a_file_that_came_and_one_that_went_without_a_load(
    running: Running, repository: Path
) -> None:
    onnx_model(repository / "newcomer.onnx")
    (repository / "numbered" / "3").mkdir()
    onnx_model(repository / "numbered" / "3" / "model.onnx")
    come = {("newcomer", "1"), ("numbered", "3")}
    await comes_true(lambda: come <= running.states().keys(), "the new files in the index")
    assert {running.states()[one] for one in come} == {"UNAVAILABLE"}
    assert running.is_ready()
    (repository / "newcomer.onnx").unlink()
    shutil.rmtree(repository / "numbered" / "3")
    await comes_true(lambda: not come & running.states().keys(), "the files to be gone from the index")


def test_unloading_and_loading_under_load_lose_nothing(running: Running) -> None:
    with Clients(running.ready["grpc"], request("twice"), lambda answer: answer == TWICE) as clients:
        for _ in range(3):
            running.unload("spare")
            assert running.states()[("spare", "1")] == "UNAVAILABLE"
            with pytest.raises(grpc.RpcError):
                running.ask("spare")
            running.load("spare")
            assert running.ask("spare") == TWICE
            running.load("twice")
    assert clients.lost == []
    assert clients.versions["1"] > 0


def test_a_changed_file_is_swapped_in_under_load_without_a_loss(running: Running, repository: Path) -> None:
    with Clients(running.ready["grpc"], request("twice"), lambda answer: answer in (TWICE, SAME)) as clients:
        for operator, expected in (("Neg", SAME), ("Add", TWICE), ("Neg", SAME), ("Add", TWICE)):
            onnx_model(repository / "new", operator).rename(repository / "twice.onnx")
            running.load("twice")
            assert running.ask("twice") == expected
    assert clients.lost == []
    assert clients.versions["1"] > 0


def test_a_changed_file_that_is_no_model_takes_nothing_away_and_says_why(running: Running, repository: Path) -> None:
    kept = (repository / "spare.onnx").read_bytes()
    (repository / "spare.onnx").write_bytes(b"no model")
    try:
        with pytest.raises(grpc.RpcError) as refusal:
            running.load("spare")
        assert str(repository / "spare.onnx") in str(refusal.value.details())
        assert running.ask("spare") == TWICE
    finally:
        (repository / "spare.onnx").write_bytes(kept)
    running.load("spare")
    assert running.ask("spare") == TWICE


def test_a_model_that_there_is_not_cannot_be_loaded(running: Running) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        running.load("nothing")
    assert "no model 'nothing'" in str(refusal.value.details())


async def test_a_killed_worker_is_started_again_with_its_models(running: Running) -> None:
    worker = running.child(WORKER)
    os.kill(worker, signal.SIGKILL)
    await comes_true(lambda: _answers(running, "twice") and running.is_ready(), "the models to serve again")
    assert running.child(WORKER) != worker


async def test_a_stopped_worker_that_hangs_is_replaced(running: Running) -> None:
    worker = running.child(WORKER)
    os.kill(worker, signal.SIGSTOP)
    await comes_true(lambda: _answers(running, "twice") and running.child(WORKER) != worker, "another worker to answer")


async def test_a_lane_that_is_lost_while_its_worker_lives_is_opened_again(running: Running) -> None:
    worker = running.child(WORKER)
    hang_up_lanes(worker)
    await comes_true(lambda: _answers(running, "twice") and running.is_ready(), "the models to serve again")
    assert running.child(WORKER) == worker


async def test_a_killed_serving_process_is_started_again_at_the_same_ports(repository: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with serving(repository / "twice.onnx", options=("--grpc", address), cache=tmp_path) as one:
        os.kill(one.child(SERVING), signal.SIGKILL)
        await comes_true(lambda: _answers(one, "twice"), "the model to serve again")
        assert one.is_ready()


def test_sigterm_ends_it_and_all_of_its_processes(repository: Path, tmp_path: Path) -> None:
    with serving(repository / "twice.onnx", cache=tmp_path) as one:
        children = [one.child(WORKER), one.child(SERVING)]
        assert one.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_a_real_model_of_each_engine_answers(data: Path, tmp_path: Path) -> None:
    models = data / "models"
    paths = (models / "resnet8_cifar10_int8.tflite", models / "mobilenet_v2_int8.onnx")
    with serving(*paths, cache=tmp_path) as one:
        assert one.states() == {("resnet8_cifar10_int8", "1"): "READY", ("mobilenet_v2_int8", "1"): "READY"}


def test_a_bundle_is_proven_by_its_golden_vectors_once_and_serves_under_its_name(tmp_path: Path) -> None:
    bundle = ROOT / "deploy" / "demo" / "inspection"
    for _ in range(2):
        with serving(bundle, cache=tmp_path) as one:
            assert one.states() == {("inspection", "1"): "READY"}
        (choice,) = json.loads((tmp_path / "nearfield" / "choices.json").read_bytes())
        assert choice["proof"]["vectors"] > 0


def test_a_bundle_that_disagrees_with_its_golden_vectors_never_serves(tmp_path: Path) -> None:
    bundle = tmp_path / "spoiled"
    shutil.copytree(ROOT / "deploy" / "demo" / "inspection", bundle)
    vectors = sorted((bundle / "golden").glob("*.npz"))
    with np.load(vectors[0]) as vector:
        spoiled = {name: value[..., ::-1] if name.startswith("output") else value for name, value in vector.items()}
    np.savez(vectors[0], **spoiled)
    exit_code, errors = refused(bundle, options=("--variant", "inspection_int8.tflite"), cache=tmp_path)
    assert exit_code == 1
    assert "agreement" in errors
    assert "Traceback" not in errors


def _answers(running: Running, model: str) -> bool:
    try:
        return running.ask(model, timeout_s=5) == TWICE
    except grpc.RpcError:
        return False


@pytest.mark.parametrize(
    ("make", "options", "code", "said"),
    [
        (lambda folder: [folder / "gone.onnx"], (), 1, "no such file"),
        (lambda folder: [_written(folder / "model.txt")], (), 1, "no engine runs .txt files"),
        (lambda folder: [folder], (), 1, "has no models"),
        (lambda folder: [_written(folder / "bad.onnx")], (), 1, "no model can be served"),
        (_twins, (), 1, "are both version 1 of a model 'm'"),
        (lambda folder: [onnx_model(folder / "m.onnx")], ("--http", "0.0.0.0:0"), 4, "is open to others"),
        (lambda folder: [onnx_model(folder / "m.onnx")], ("--http", "127.0.0.1:http"), 2, "HOST:PORT"),
        (lambda folder: [onnx_model(folder / "m.onnx")], ("--http", "here"), 2, "http 'here' is not an address"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_line(tmp_path: Path, make, options, code, said) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "models"
    folder.mkdir()
    exit_code, errors = refused(*make(folder), options=options, cache=tmp_path)
    assert exit_code == code
    assert said in errors
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    onnx_model(tmp_path / "m.onnx")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for port in ("--grpc", "--http", "--metrics"):
            exit_code, errors = refused(tmp_path / "m.onnx", options=(port, address), cache=tmp_path)
            assert exit_code == 1
            assert f"at {address}: Address already in use" in errors
            assert "Traceback" not in errors
