"""What a process may take of this machine: memory, open files, no core dump; and whom the kernel ends first."""

import resource
import struct
from contextlib import suppress
from pathlib import Path

from edge_node.sandbox.kernel import Kernel

RESERVED_MB = 512
"""What threads reserve for stacks and heaps and never touch; the kernel counts it, the agent's watch does not."""
OPEN_FILES = 1024
FIRST_TO_GO = 500
"""Of -1000 to 1000 (proc(5), oom_score_adj): where memory runs out, a worker goes before the agent."""
CAPABILITIES_VERSION = 0x20080522
READ_ANY_FILE = 1 << 2
"""CAP_DAC_READ_SEARCH: which files, Landlock says"""


def default_memory_mb(device_kb: int | None) -> int:
    """Three quarters of the device's memory; no limit where that is not known."""
    return 0 if device_kb is None else device_kb * 3 // 4 // 1024


def limit_memory(memory_mb: int) -> None:
    """Limit private memory, which is what models take; files that are mapped are not counted. 0: no limit."""
    if memory_mb > 0:
        _lower(resource.RLIMIT_DATA, (memory_mb + RESERVED_MB) * 2**20)
    with suppress(OSError):  # raising one's own is permitted, but /proc may be read-only
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO), encoding="ascii")


def limit_files(*, writes: bool) -> None:
    """No core dump, few open files, and unless it `writes` not a byte into one."""
    limit_core()
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    if not writes:
        _lower(resource.RLIMIT_FSIZE, 0)


def limit_core() -> None:
    """No core dump: it would hold frames, or keys."""
    _lower(resource.RLIMIT_CORE, 0)


def permitted_capabilities() -> int:
    """What this process may have, as bits."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("CapPrm:")).split()[1], 16)


def drop_capabilities(kernel: Kernel, keep: int) -> None:
    """Give back what root has more than others, but for the bits of `keep` (capabilities(7)).

    Raises:
        OSError: the kernel refused.
    """
    header = struct.pack("=Ii", CAPABILITIES_VERSION, 0)
    kernel.capset(header, struct.pack("=6I", keep, keep, 0, 0, 0, 0))


def _lower(kind: int, value: int) -> None:
    """Lower a limit for good; one that is lower stays."""
    _, hard = resource.getrlimit(kind)
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (lowest, lowest))
