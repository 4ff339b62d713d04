"""Which state folder a command means."""

from pathlib import Path

import pytest

from edge_node.cli.state_folder import chosen_folder, enrolled_folders, usual_folder
from edge_node.config import default_state_dir
from edge_node.errors import WrongUsage


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "nearfield"


def test_the_only_node_is_meant_whatever_it_is_called(place: Path) -> None:
    names = {place / "cam-3": "entrance"}
    assert chosen_folder(names, "") == place / "cam-3"
    assert chosen_folder(names, "entrance") == place / "cam-3"
    assert chosen_folder(names, "cam-3") == place / "cam-3"


def test_a_name_that_no_node_has_is_a_new_folder(place: Path) -> None:
    assert chosen_folder({}, "") == place / "node"
    assert chosen_folder({place / "cam-3": "cam-3"}, "cam-4") == place / "cam-4"


def test_of_several_one_is_said(place: Path) -> None:
    with pytest.raises(WrongUsage, match=r"Say --name or --state-dir: in the usual place there are cam-3, cam-4$"):
        chosen_folder({place / "cam-3": "a", place / "cam-4": "b"}, "")


def test_enrolled_folders_are_those_with_an_identity_that_can_be_read(place: Path) -> None:
    for name, content in (("cam-3", b'{"name":"entrance"}'), ("cam-4", b"\xff"), ("cam-5", None)):
        (place / name).mkdir(parents=True)
        if content is not None:
            (place / name / "identity.json").write_bytes(content)
    assert enrolled_folders(place) == {place / "cam-3": "entrance"}
    assert usual_folder("") == place / "cam-3" != default_state_dir("")
