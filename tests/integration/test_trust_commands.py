"""`edgectl trust`, `model sign`, `model permit-downgrade` against a whole coordinator."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.authority.files import make_identity
from coordinator.config import CoordinatorConfig
from coordinator.folder import Folder, make_folder
from coordinator.trust.first_root import make_first_root
from coordinator.trust.signing_keys import make_key
from tests.coordinators import edgectl, running_coordinator

pytestmark = pytest.mark.timeout(60)

TOML = """name = "m"
task = "classification"
variants = [{file = "m.onnx", engine = "stub"}]
outputs = [{decode = "classification"}]
"""
DEPLOYMENT = "name: shelf\nselector: ''\nmodel: m@1\npipelines: [{name: a, source: b}]\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of the stub engine."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.toml").write_text(TOML)
    (folder / "m.onnx").write_bytes(b"stub")
    return folder


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    """A deployment of its first version."""
    file = tmp_path / "shelf.yaml"
    file.write_text(DEPLOYMENT)
    return file


async def test_with_two_of_two_a_version_waits_for_the_second_signature(
    tmp_path: Path, bundle: Path, deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alice, root = tmp_path / "alice.key", tmp_path / "root.json"
    async with running_coordinator(tmp_path / "coord") as coordinator:
        assert await edgectl(coordinator, "key", "create", str(alice)) == 0
        added = ("--add-publisher", f"{alice}.pub", "--threshold", "2")
        assert await edgectl(coordinator, "trust", "update", *added, "-o", str(root)) == 0
        assert await edgectl(coordinator, "trust", "sign", str(root)) == 0
        assert await edgectl(coordinator, "trust", "push", str(root)) == 1
        assert "1 of the publishers that it names (alice)" in capsys.readouterr().err
        assert await edgectl(coordinator, "trust", "sign", str(root), "--key", str(alice)) == 0
        assert await edgectl(coordinator, "trust", "push", str(root)) == 0
        capsys.readouterr()
        assert await edgectl(coordinator, "trust", "show", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["version"], shown["threshold"], shown["signed"]) == (2, 2, True)
        assert [one["name"] for one in shown["publishers"]] == ["publisher", "alice"]

        assert await edgectl(coordinator, "model", "push", str(bundle)) == 0
        assert "signed by 1 of the 2 keys that it needs" in capsys.readouterr().out
        assert await edgectl(coordinator, "deployment", "apply", str(deployment)) == 4
        assert "m@1 is not released" in capsys.readouterr().err
        assert await edgectl(coordinator, "model", "permit-downgrade", "m@1", "--below", "2") == 4
        assert "signed by 1 of the 2" in capsys.readouterr().err
        assert await edgectl(coordinator, "model", "sign", "m@1", "--key", str(alice)) == 0
        assert await edgectl(coordinator, "deployment", "apply", str(deployment)) == 0


async def test_publishers_that_bring_their_keys_sign_the_first_root(
    tmp_path: Path, bundle: Path, deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, alice = Folder(tmp_path / "coord"), tmp_path / "alice.key"
    make_key(alice)
    make_folder(folder, CoordinatorConfig())
    make_identity(folder, "tester", datetime.now(UTC))
    make_first_root(folder, (tmp_path / "alice.key.pub",), datetime.now(UTC))
    async with running_coordinator(folder.root) as coordinator:
        assert await edgectl(coordinator, "trust", "show") == 0
        assert "not signed yet" in capsys.readouterr().out
        assert await edgectl(coordinator, "model", "push", str(bundle), "--key", str(alice)) == 4
        assert "no trust root yet" in capsys.readouterr().err
        assert await edgectl(coordinator, "deployment", "apply", str(deployment)) == 4
        assert "no trust root yet" in capsys.readouterr().err
        assert await edgectl(coordinator, "trust", "sign", "--key", str(alice)) == 0
        assert await edgectl(coordinator, "model", "sign", "m@1", "--key", str(alice)) == 0
        assert await edgectl(coordinator, "deployment", "apply", str(deployment)) == 0
        assert await edgectl(coordinator, "trust", "sign", "--key", str(alice)) == 2
        assert "is signed already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("model", "sign", "m"), 2, "say which version, for example m@1"),
        (("model", "sign", "m@x"), 2, "write MODEL@VERSION"),
        (("model", "sign", "m@9"), 1, "no model version m@9"),
        (("model", "sign", ".", "--version", "3"), 2, "it takes both: --version N and -o FILE"),
        (("model", "permit-downgrade", "m@1"), 2, "--below"),
        (("trust", "push", "absent.json"), 1, "absent.json: No such file"),
        (("trust", "update", "--remove-publisher", "carol", "-o", "x"), 2, "no publisher is called 'carol'"),
        (("trust", "update", "--add-publisher", "absent.pub", "-o", "x"), 1, "absent.pub: No such file"),
        (("node", "logs", "cam-9"), 1, "cam-9"),
    ],
)
async def test_what_is_wrong_is_told_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_coordinator(tmp_path / "coord") as coordinator:
        assert await edgectl(coordinator, *arguments) == code
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
