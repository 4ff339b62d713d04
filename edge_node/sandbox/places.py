"""The files that any engine needs: the system's libraries, Python's, what the kernel says of the processor, devices."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGES = Path(__file__).parents[2]
"""where `edge_node` and `protos` lie, perhaps beside other things"""

SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm", "/proc/driver/nvidia", "/proc/devices"),
    *("/sys/devices", "/sys/class/drm", "/sys/bus/pci", "/sys/module/nvidia"),
    *("/dev/urandom", "/dev/random", "/dev/zero"),
)
DEVICES = ("null", "nvidia*", "dri", "apex_*", "accel")
"""glob patterns below /dev of what engines write to: accelerators"""
LIBRARY_FOLDERS = ("site-packages", "dist-packages")


def readable() -> tuple[Path, ...]:
    """What every engine may read here."""
    python = [f"{prefix}/{folder}" for prefix in {sys.prefix, sys.base_prefix} for folder in ("lib", "lib64")]
    own = [PACKAGES / "edge_node", PACKAGES / "protos"]
    return (*map(Path, [*SYSTEM, *python, *_installed(sys.path), *_libraries()]), *own)


def devices() -> tuple[Path, ...]:
    """What engines may read and write here."""
    return tuple(found for pattern in DEVICES for found in Path("/dev").glob(pattern))


def _installed(path: Iterable[str]) -> list[str]:
    """Where packages are installed. Other entries of the module path may be anybody's folders."""
    return [entry for entry in path if Path(entry).name in LIBRARY_FOLDERS or entry.endswith(".zip")]


def _libraries() -> list[str]:
    """Where whoever runs the node says that libraries are: CUDA's are often there."""
    return [entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry.startswith("/")]
