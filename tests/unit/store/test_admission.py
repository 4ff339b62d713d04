"""A bundle of the store is looked into before anybody uses it."""

from pathlib import Path

import pytest

from edge_node.errors import Refused
from edge_node.store.admission import admit
from edge_node.store.bundles import Bundles
from protos.digest import Digest, digest_of
from protos.oci import BundleFile, write_manifest
from tests.hostile.onnx_files import add, loop, model_of

TOML = b'name = "m"\ntask = "tensor"\n[[variants]]\nfile = "m.onnx"\nengine = "onnxruntime"\n'


def put(root: Path, **files: bytes) -> tuple[Bundles, Digest]:
    """A whole bundle in a store; underscores in names stand for dots."""
    bundles = Bundles(root)
    bundles.prepare()
    named = {name.replace("_", "."): body for name, body in files.items()}
    manifest = write_manifest(BundleFile(name, digest_of(body), len(body)) for name, body in named.items())
    bundles.add(digest_of(manifest), manifest)
    for body in named.values():
        bundles.blobs.put(digest_of(body), body)
    return bundles, digest_of(manifest)


def test_a_bundle_in_order_is_admitted(tmp_path: Path) -> None:
    admit(*put(tmp_path, model_toml=TOML, m_onnx=model_of([add()])))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"model_toml": TOML, "m_onnx": loop(None)}, "m.onnx is refused: a loop of more than 1000000 steps"),
        ({"model_toml": TOML, "m_onnx": b"noise"}, "m.onnx is not an ONNX model, or it is truncated"),
        ({"model_toml": TOML}, "names files that are not in the bundle: m.onnx"),
        ({"model_toml": b"a = " + b"[" * 10_000}, "model.toml is not TOML: values too deep"),
        ({"model_toml": b"x" * 70_000}, "more than 65536 bytes"),
        ({"m_onnx": b""}, "has no model.toml"),
    ],
    ids=["loop", "noise", "missing", "brackets", "large", "none"],
)
def test_a_hostile_bundle_is_refused_by_its_file(files: dict[str, bytes], said: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=said) as refusal:
        admit(*put(tmp_path, **files))
    assert str(refusal.value).startswith("bundle ")
