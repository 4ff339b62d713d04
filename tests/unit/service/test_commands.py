"""What follows on the written files: which commands, in which order; one that fails is one line."""

from collections.abc import Callable, Iterable

import pytest

from coordinator.errors import NearfieldError as CoordinatorError
from coordinator.service import systemd as coordinator_systemd
from coordinator.service import unit as coordinator_unit
from edge_node.errors import NearfieldError as NodeError
from edge_node.service import systemd as node_systemd
from edge_node.service import unit as node_unit

Run = Callable[[Iterable[tuple[str, ...]]], None]


def words(commands: Iterable[tuple[str, ...]]) -> list[str]:
    return [command[0] for command in commands]


def test_the_user_comes_before_the_folders_and_the_folders_before_the_service() -> None:
    assert words(node_unit.activation(now=False)) == ["systemd-sysusers", "systemd-tmpfiles", "systemctl", "systemctl"]
    assert words(coordinator_unit.activation("p", new=True, now=False)) == [
        *("systemd-sysusers", "systemd-tmpfiles", "runuser", "systemctl", "systemctl")
    ]


@pytest.mark.parametrize("now", [False, True])
def test_the_service_is_enabled_and_started_only_when_asked(now: bool) -> None:
    for commands in (node_unit.activation(now=now), coordinator_unit.activation("p", new=False, now=now)):
        assert commands[-2] == ("systemctl", "daemon-reload")
        assert commands[-1][:2] == ("systemctl", "enable")
        assert ("--now" in commands[-1]) is now


@pytest.mark.parametrize(
    ("run", "error"),
    [(node_systemd.run_all, NodeError), (coordinator_systemd.run_all, CoordinatorError)],
    ids=["node", "coordinator"],
)
def test_a_command_that_fails_or_is_missing_is_one_line(run: Run, error: type[Exception]) -> None:
    run([("true",)])
    with pytest.raises(error, match=r"^sh -c .*: no such unit$"):
        run([("sh", "-c", "echo first >&2; echo no such unit >&2; exit 1"), ("sh", "-c", "never")])
    with pytest.raises(error, match="exit code 1"):
        run([("false",)])
    with pytest.raises(error, match="install the package systemd"):
        run([("no-such-program",)])
