"""Stub models and bundles for the tests of this folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge_node.engine.base import Session
from edge_node.engine.catalog import find

Tensor = dict[str, Any]


def tensor(name: str, shape: Sequence[int | None], dtype: str = "float32", **more: Any) -> Tensor:
    return {"name": name, "dtype": dtype, "shape": list(shape), **more}


def stub_file(path: Path, inputs: list[Tensor], outputs: list[Tensor], **more: Any) -> Path:
    path.write_bytes(msgspec.json.encode({"inputs": inputs, "outputs": outputs, **more}))
    return path


def stub_session(folder: Path, inputs: list[Tensor], outputs: list[Tensor], **more: Any) -> Session:
    return find("stub").open(stub_file(folder / "model.stub", inputs, outputs, **more), threads=1)


IMAGE = tensor("image", (1, 8, 8, 3), "uint8")


def scores(*values: float) -> Tensor:
    return tensor("scores", (1, len(values)), values=values)


def bundle_folder(
    folder: Path, *, variants: dict[str, dict[str, Any]], more: str = "", labels: str = "a\nb\nc\n", output: str = ""
) -> Path:
    """A bundle of stub variants that classify images; each variant is the keywords of its outputs and behaviour."""
    folder.mkdir(exist_ok=True)
    text = 'name = "stubs"\ntask = "classification"\n'
    for file, given in variants.items():
        stub_file(folder / file, [IMAGE], given.get("outputs", [scores(0.1, 0.7, 0.2)]), **given.get("more", {}))
        text += f'[[variants]]\nfile = "{file}"\nengine = "stub"\n'
    text += '[[inputs]]\nkind = "image"\n[[outputs]]\ndecode = "classification"\nlabels = "labels.txt"\n'
    text += f'name = "{output}"\n' if output else ""
    (folder / "labels.txt").write_text(labels)
    (folder / "model.toml").write_text(text + more)
    return folder
