"""Models that want to take the node down, in real workers with the real engines: the worker pays, nobody else.

`make soak` opens the whole corpus in bare engines, without the admission that would refuse most of it.
"""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from edge_node.errors import WorkerFailed
from edge_node.sandbox.confinement import Confinement
from edge_node.sandbox.support import support
from edge_node.worker.client import ProcessWorker
from edge_node.worker.liveness import Limits
from tests.conformance.worker_world import stub_bundle
from tests.hostile.corpus import build, bundle_around
from tests.hostile.kinds import Hostile
from tests.sizes import N, random_of, times, tried

MUTATIONS = 8
"""of each real model"""
HASTY = Limits(load_s=4.0)
MEMORY_MB = 1024
MODEL_SUFFIXES = (".onnx", ".tflite")
REAL_MODELS = ("resnet8_cifar10_int8.tflite", "face_rfb320_fp32.onnx")

BARE_ENGINE = """
import sys
from pathlib import Path
import numpy as np
from edge_node.sandbox.confine import confine
from edge_node.sandbox.confinement import Confinement
path = Path(sys.argv[1])
confine(Confinement(readable=(str(path.parent),), memory_mb=1024), writes=True)
if path.suffix == ".onnx":
    import onnxruntime
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {
        one.name: np.zeros([n if isinstance(n, int) else 1 for n in one.shape], "bool" if "bool" in one.type else "f")
        for one in session.get_inputs()
    }
    made = session.run(None, feeds)
else:
    from ai_edge_litert.interpreter import Interpreter
    native = Interpreter(model_path=str(path), num_threads=1)
    native.allocate_tensors()
    native.invoke()
    made = [native.get_tensor(one["index"]) for one in native.get_output_details()]
arrays = [np.asarray(one).reshape(-1) for one in made]
print("made", sum(one.nbytes for one in arrays), any(b"root:" in one[:4096].tobytes() for one in arrays))
"""


async def proved(bundle: Path, limits: Limits = HASTY) -> str:
    """What a worker of its own says of a bundle: the error of the proof, how the worker died, or nothing."""
    worker = ProcessWorker(Confinement(readable=(str(bundle),), memory_mb=MEMORY_MB), limits)
    try:
        await worker.start_worker()
        (proof,) = await worker.prove(bundle, None, 1)
    except WorkerFailed as error:
        return str(error)
    else:
        return proof.error
    finally:
        await worker.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Hostile]:
    return build(tmp_path_factory.mktemp("hostile"))


async def test_models_that_admission_lets_pass_cost_their_own_worker_and_no_other(
    corpus: dict[str, Hostile], tmp_path: Path
) -> None:
    hostile = {
        name: bundle_around(one, tmp_path / name)
        for name, one in corpus.items()
        if one.stopped_by == "worker" and one.path.suffix in MODEL_SUFFIXES
    }
    assert hostile
    honest = ProcessWorker(Confinement(readable=(str(tmp_path),)))
    deaths: list[str] = []
    honest.on_exit = deaths.append
    await honest.start_worker()
    await honest.load("m", stub_bundle(tmp_path / "honest"), "model.stub", 1, 1)
    said = dict(zip(hostile, await asyncio.gather(*map(proved, hostile.values())), strict=True))
    assert all("\n" not in line for line in said.values())
    assert "was killed because it hung (no answer within 4 s) while proving" in said["endless_while.tflite"]
    assert deaths == []
    await honest.unload("m")  # it still answers
    await honest.close()


BARE = ("function_chain.onnx", "endless_loop.onnx", "constant_of_shape.onnx", "weights_in_passwd.onnx", "tile.tflite")


@pytest.mark.soak
def test_engines_that_are_given_what_admission_refuses_take_only_their_process(corpus: dict[str, Hostile]) -> None:
    """The second line of defence alone: killed after a few seconds, or refused by a limit; nothing is read."""
    names = [name for name, one in corpus.items() if one.path.suffix in MODEL_SUFFIXES] if N > 1 else BARE
    for name in names:
        tried["hostile files in a bare engine"] += 1
        command = [sys.executable, "-c", BARE_ENGINE, str(corpus[name].path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False)
        except subprocess.TimeoutExpired:
            continue  # as a worker's deadline would end it
        if done.returncode == 0:
            _, made, read_passwd = done.stdout.split()
            assert int(made) < (MEMORY_MB + 512) * 2**20, name
            assert read_passwd == "False", name


def test_without_the_sandbox_an_engine_takes_the_memory_that_a_model_asks_for(tmp_path: Path) -> None:
    """The control arm: 1 GB, which this machine has, is had without the limit and refused with it."""
    from onnx import TensorProto, helper

    shape = helper.make_tensor("n", TensorProto.INT64, [1], [2**28])
    node = helper.make_node("ConstantOfShape", ["n"], ["y"])
    end = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    graph = helper.make_graph([node], "g", [], [end], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "gigabyte.onnx"
    path.write_bytes(model.SerializeToString())
    free = BARE_ENGINE.replace("memory_mb=1024", 'memory_mb=0, mode="off"')
    limited = BARE_ENGINE.replace("memory_mb=1024", "memory_mb=256")
    outcomes = [
        subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60).returncode
        for script in (free, limited)
    ]
    assert outcomes[0] == 0
    assert outcomes[1] != 0


@pytest.mark.soak
@pytest.mark.parametrize("file", REAL_MODELS)
async def test_damaged_copies_of_a_real_model_never_cost_more_than_their_worker(
    file: str, data: Path, tmp_path: Path
) -> None:
    content = (data / "models" / file).read_bytes()
    chance = random_of(file)
    for number in range(times(MUTATIONS)):
        line = await proved(damaged(content, Path(file), tmp_path / str(number), chance))
        assert "\n" not in line, line
        tried["mutated models in a worker (S6)"] += 1
    whole = bundle_around(Hostile(data / "models" / file, "worker", "it is not"), tmp_path / "whole")
    assert await proved(whole, Limits()) == ""


def damaged(content: bytes, file: Path, folder: Path, chance: random.Random) -> Path:
    """A bundle of the model with a few bytes changed: more at its ends, where its structure is."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 4, 64))):
        near = chance.choice((2000, len(changed)))
        place = chance.randrange(min(near, len(changed)))
        changed[place if chance.random() < 0.5 else -1 - place] = chance.randrange(256)
    made = folder.with_name(f"{folder.name}{file.suffix}")
    made.write_bytes(changed)
    return bundle_around(Hostile(made, "worker", "damaged"), folder)


async def test_a_worker_that_grows_beyond_its_memory_is_killed_and_says_so(tmp_path: Path) -> None:
    worker = ProcessWorker(Confinement(readable=(str(tmp_path),), memory_mb=10))  # less than Python and numpy take
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    worker.on_exit = ended.set_result
    await worker.start_worker()
    line = await asyncio.wait_for(ended, 20)
    await worker.close()
    assert line.startswith("the worker was killed because it held ")
    assert line.endswith("MB, more than worker.memory_mb = 10 while idle")


async def test_real_models_are_proven_in_a_sandbox_that_has_everything(data: Path, tmp_path: Path) -> None:
    for file in ("mobilenet_v2_int8.tflite", "mobilenet_v2_int8.onnx"):
        bundle = bundle_around(Hostile(data / "models" / file, "worker", "it is not"), tmp_path / file)
        assert await proved(bundle, Limits()) == ""


@pytest.mark.skipif(bool(support().missing), reason=f"this kernel has {support().text}")
async def test_a_bundle_beside_the_permitted_ones_is_not_read(data: Path, tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", stub_bundle(tmp_path / "other")
    allowed.mkdir()
    worker = ProcessWorker(Confinement(readable=(str(allowed),)))
    await worker.start_worker()
    with pytest.raises(WorkerFailed, match="Permission denied"):
        await worker.load("m", other, "model.stub", 1, 1)
    await worker.close()
    free = ProcessWorker(Confinement("off"))
    await free.start_worker()
    await free.load("m", other, "model.stub", 1, 1)
    await free.close()
