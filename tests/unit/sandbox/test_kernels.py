"""What is asked of kernels that have more or less than the one that runs the tests, and what is said of them."""

import errno
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_node.config import NodeConfig, WorkerSettings
from edge_node.errors import Refused
from edge_node.sandbox import landlock, seccomp
from edge_node.sandbox.confinement import Confined
from edge_node.sandbox.limits import default_memory_mb
from edge_node.sandbox.places import readable
from edge_node.sandbox.support import support
from edge_node.worker.settings import confinement_of, limits_of, sandbox_text


@dataclass
class FakeKernel:
    """A kernel with a version of Landlock (0: none), with or without seccomp."""

    landlock: int = 0
    seccomp: bool = False
    machine: str = "x86_64"
    calls: list[tuple[int, tuple[int | bytes, ...]]] = field(default_factory=list)

    def call(self, number: int, *arguments: int | bytes) -> int:
        self.calls.append((number, arguments))
        there = self.landlock if number in (444, 445, 446) else self.seccomp
        if not there:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if number == landlock.CREATE_RULESET:
            return self.landlock if arguments[2] == landlock.VERSION_FLAG else os.open("/dev/null", os.O_RDONLY)
        return 0

    def prctl(self, option: int, value: int) -> None:
        """Never refused."""

    def capset(self, header: bytes, data: bytes) -> None:
        """Never refused."""


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (FakeKernel(7, True), "Landlock 7, seccomp"),
        (FakeKernel(0, True), "seccomp; without Landlock (Function not implemented)"),
        (FakeKernel(1, False), "Landlock 1; without seccomp (Function not implemented)"),
        (
            FakeKernel(7, True, machine="riscv64"),
            "Landlock 7; without seccomp (the numbers of this machine's system calls are not known here)",
        ),
        (
            FakeKernel(),
            "not confined; without Landlock (Function not implemented); without seccomp (Function not implemented)",
        ),
    ],
)
def test_what_a_kernel_has_and_lacks_is_said_in_one_line(kernel: FakeKernel, text: str) -> None:
    assert support(kernel).text == text


@pytest.mark.parametrize(
    ("version", "files", "network", "scopes"),
    [(1, 0x1FFF, 0, 0), (2, 0x3FFF, 0, 0), (3, 0x7FFF, 0, 0), (4, 0x7FFF, 3, 0), (5, 0xFFFF, 3, 0), (7, 0xFFFF, 3, 3)],
)
def test_of_each_landlock_everything_that_it_has_is_taken(
    version: int, files: int, network: int, scopes: int, tmp_path: Path
) -> None:
    kernel = FakeKernel(version)
    assert landlock.restrict(kernel, [tmp_path, tmp_path / "absent"], [Path("/dev/null")]) == version
    (_, _), (_, (attributes, size, _)), *rules, (last, _) = kernel.calls
    assert isinstance(attributes, bytes)
    assert (len(attributes), struct.unpack("=QQQ", attributes)) == (size, (files, network, scopes))
    allowed = [struct.unpack("=Qi", one[1][2])[0] for one in rules if isinstance(one[1][2], bytes)]
    assert allowed[0] == landlock.READ_FILE | landlock.READ_DIR
    assert allowed[1] & ~files == 0, "a right that this version does not know"
    assert allowed[1] & landlock.READ_DIR == 0, "a right that files do not have"
    assert (len(allowed), last) == (2, landlock.RESTRICT_SELF)


def test_a_filter_that_cannot_be_installed_is_an_error_and_not_silence() -> None:
    with pytest.raises(OSError, match="not implemented"):
        seccomp.install(FakeKernel(7, False), 1)


def test_what_every_engine_may_read_is_neither_a_home_nor_a_state_nor_all() -> None:
    broad = {"/", "/home", "/root", "/etc", "/proc", "/var", "/tmp", "/usr", "/dev", "/sys", str(Path.home())}
    assert not {str(path) for path in readable()} & broad


def node(sandbox: str, isolation: str = "process") -> NodeConfig:
    return NodeConfig(
        state_dir="/state",
        isolation=isolation,  # type: ignore[arg-type]
        worker=WorkerSettings(sandbox=sandbox),  # type: ignore[arg-type]
        name="cam-3",
    )


FULL = Confined(("Landlock 7", "seccomp"))
HALF = Confined(("seccomp",), ("Landlock (Function not implemented)",))


@pytest.mark.parametrize(
    ("config", "found", "text"),
    [
        (node("auto"), FULL, "Landlock 7, seccomp"),
        (node("auto"), HALF, "seccomp; without Landlock (Function not implemented)"),
        (node("require"), FULL, "Landlock 7, seccomp"),
        (node("off"), FULL, "not confined: worker.sandbox = off"),
        (node("auto", "thread"), FULL, "not confined: isolation = thread"),
    ],
)
def test_a_node_says_what_confines_its_models(config: NodeConfig, found: Confined, text: str) -> None:
    assert sandbox_text(config, found) == text


@pytest.mark.parametrize(
    ("config", "found", "why"),
    [
        (node("require"), HALF, "this kernel has seccomp; without Landlock"),
        (node("require", "thread"), FULL, "isolation = thread has no sandbox"),
    ],
)
def test_a_node_that_requires_the_sandbox_does_not_run_without(config: NodeConfig, found: Confined, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        sandbox_text(config, found)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("device_kb", "memory_mb"), [(None, 0), (4 << 20, 3072), (512 << 10, 384)])
def test_a_worker_may_take_three_quarters_of_the_device(device_kb: int | None, memory_mb: int) -> None:
    assert default_memory_mb(device_kb) == memory_mb
    assert confinement_of(WorkerSettings(), Path("/state/store"), device_kb).memory_mb == memory_mb


def test_the_configuration_sets_the_limits() -> None:
    settings = WorkerSettings("require", memory_mb=300, load_s=60, infer_s=2)
    confinement = confinement_of(settings, Path("/state/store"), 4 << 20)
    assert (confinement.mode, confinement.readable, confinement.memory_mb) == ("require", ("/state/store",), 300)
    assert (limits_of(settings).load_s, limits_of(settings).busy_s) == (60, 2)
