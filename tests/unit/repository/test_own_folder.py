"""The folder of a server's copies: swept by the next server where its owner is dead, and only then."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_node.repository.own_folder import PREFIX, own_folder

OWNER = """
import sys
from edge_node.repository.own_folder import own_folder
with own_folder() as folder:
    (folder / "model").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_outlives_its_owner_by_no_more_than_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"{PREFIX}half-made").mkdir()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=pipe, stdout=pipe, text=True, env={"TMPDIR": str(tmp_path)}
    ) as owner:
        assert owner.stdout is not None
        left = Path(owner.stdout.readline().strip())
        with own_folder() as ours:
            assert ours.parent == left.parent == tmp_path
            assert (left / "model").exists(), "its owner lives"
        assert not ours.exists()
        owner.kill()
        owner.wait()
    assert (left / "model").exists(), "the control: nobody has swept it yet"
    with own_folder():
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}half-made"]
