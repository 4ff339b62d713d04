"""Compiled forms: made by a process of their own, verified at every use, bounded, and nobody's but their model's."""

from pathlib import Path

import pytest

from edge_node.engine.compiled import Job
from edge_node.rungs import Rung
from edge_node.sandbox.confinement import Confinement
from edge_node.worker.client import ProcessWorker
from edge_node.worker.forms import Forms
from edge_node.worker.ladders import Ladders
from tests.conformance.tiny_models import onnx_model
from tests.waiting import until

RUNG = Rung("openvino")
MANIFEST = """
name = "tiny"
task = "tensor"
[[variants]]
file = "m.onnx"
engine = "onnxruntime"
[[inputs]]
kind = "series"
window = 1
[[outputs]]
decode = "tensor"
"""


def bundle(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.toml").write_text(MANIFEST)
    onnx_model(folder / "m.onnx")
    return folder


async def load(forms: Forms, folder: Path) -> None:
    """Load the bundle in a worker, and wait for what is made beside it."""
    reach = Confinement(readable=(str(folder), str(forms.folder)))
    worker = ProcessWorker(reach, None, Ladders(forms))
    await worker.start_worker()
    try:
        await worker.load("m", folder, "m.onnx", 1, 1, (RUNG,))
        await until(lambda: not worker._making, "the form")
    finally:
        await worker.close()


async def test_a_form_is_made_once_used_at_the_next_start_and_made_again_when_a_bit_is_flipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forms, folder = Forms(tmp_path / "forms", 2**26), bundle(tmp_path / "bundle")
    await load(forms, folder)
    (form,) = forms.folder.iterdir()
    content = form.read_bytes()
    assert content
    await load(forms, folder)
    assert [path.read_bytes() for path in forms.folder.iterdir()] == [content]
    assert not caplog.records
    form.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    await load(forms, folder)
    assert [record.getMessage() for record in caplog.records] == [
        f"the compiled form {form.name[:12]} is damaged: it is made again"
    ]
    (again,) = forms.folder.iterdir()
    assert again.name.partition(".")[0] == form.name.partition(".")[0]
    assert again.read_bytes() != form.read_bytes() or again.name == form.name
    assert forms.find(again.name.partition(".")[0]) is not None


async def test_what_a_form_is_made_of_decides_its_key(tmp_path: Path) -> None:
    forms = Forms(tmp_path / "forms", 2**26)
    models = [onnx_model(tmp_path / "a.onnx"), onnx_model(tmp_path / "b.onnx", "Neg")]
    keys = [await forms.key(model, RUNG, 1) for model in models]
    keys += [await forms.key(models[0], RUNG, 2), await forms.key(models[0], Rung("openvino", "gpu"), 1)]
    assert len(set(keys)) == 4
    assert await forms.key(models[0], Rung("onnxruntime"), 1) is None
    assert await Forms(tmp_path / "none", 0).key(models[0], RUNG, 1) is None


async def test_what_cannot_be_compiled_leaves_nothing_behind(tmp_path: Path) -> None:
    forms, noise = Forms(tmp_path / "forms", 2**26), tmp_path / "noise.onnx"
    noise.write_bytes(b"noise")
    assert not await forms.make("key", Job(str(noise), RUNG, 1), Confinement(readable=(str(noise),)))
    assert list(forms.folder.iterdir()) == []


async def test_forms_that_take_too_much_go_the_oldest_first(tmp_path: Path) -> None:
    model = onnx_model(tmp_path / "a.onnx")
    reach, job = Confinement(readable=(str(model),)), Job(str(model), RUNG, 1)
    forms = Forms(tmp_path / "forms", 2**26)
    assert await forms.make("first", job, reach)
    (first,) = forms.folder.iterdir()
    forms = Forms(forms.folder, int(first.stat().st_size * 1.5))
    assert await forms.make("second", job, reach)
    assert [path.name.partition(".")[0] for path in forms.folder.iterdir()] == ["second"]
    assert not await Forms(forms.folder, 10).make("third", job, reach)
