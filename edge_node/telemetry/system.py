"""What this machine is and how it is doing: cores, memory, clock, disk. Readers of /proc and of the kernel.

Parsing is pure (`*_in`); a reader returns None where the kernel does not say. Nothing here decides anything. Which
engines are installed is the engine package's to say.
"""

import ctypes
import os
import platform
import re
import sys
import time
from pathlib import Path

PROC = Path("/proc")

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
_STA_UNSYNC = 0x40  # <linux/timex.h>: the clock is not synchronized
_TIME_ERROR = 5  # adjtimex(2) returns this for an unsynchronized clock


class _Timex(ctypes.Structure):
    """The head of `struct timex` of adjtimex(2); the rest is padding large enough for every architecture."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """The processor's name as the kernel gives it, else the architecture."""
    return cpu_model_in(_read("cpuinfo")) or platform.machine()


def hardware() -> str:
    """What this device is, in words that change when what was measured on it no longer counts."""
    return f"{platform.machine()}, {cpu_model()}, {cores()} cores"


def cpu_model_in(cpuinfo: str) -> str:
    """The first `model name`, `Model` or `Hardware` of a /proc/cpuinfo, or nothing."""
    for key in ("model name", "Model", "Hardware"):
        found = re.search(rf"^{key}\s*:\s*(\S.*?)\s*$", cpuinfo, re.MULTILINE)
        if found:
            return found[1]
    return ""


def processor() -> str:
    """The processor and what it can do, in words that change when either does."""
    features = re.search(r"^(?:flags|Features)\s*:\s*(.*?)\s*$", _read("cpuinfo"), re.MULTILINE)
    return f"{cpu_model()}: {features[1] if features else ''}"


def memory_kb() -> int | None:
    """All of the machine's memory, in KiB."""
    return kilobytes_in(_read("meminfo"), "MemTotal")


def memory_available_kb() -> int | None:
    """What can be taken without swapping, in KiB."""
    return kilobytes_in(_read("meminfo"), "MemAvailable")


def pss_kb(pid: int | None = None) -> int | None:
    """A process's proportional set size in KiB; its resident size where the kernel gives no PSS; None: no such one."""
    process = "self" if pid is None else str(pid)
    pss = kilobytes_in(_read(f"{process}/smaps_rollup"), "Pss")
    return pss if pss is not None else kilobytes_in(_read(f"{process}/status"), "VmRSS")


def own_memory_kb(pid: int) -> int | None:
    """What a process holds that no file holds: its anonymous and shared memory, in KiB; None: no such process."""
    status = _read(f"{pid}/status")
    parts = [kilobytes_in(status, key) for key in ("RssAnon", "RssShmem")]
    return None if parts[0] is None else sum(filter(None, parts))


def kilobytes_in(text: str, key: str) -> int | None:
    """The value of a line `key:   1234 kB`."""
    found = re.search(rf"^{re.escape(key)}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) if found else None


def since_boot() -> float:
    """Seconds since this machine was started, those in which it slept among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def clock_synced() -> bool | None:
    """Whether the kernel holds the clock to be synchronized (adjtimex, read only); None: it does not tell."""
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None:
        return None
    timex = _Timex()
    state = adjtimex(ctypes.byref(timex))
    return None if state < 0 else synchronized(state, timex.status)


def synchronized(state: int, status: int) -> bool:
    """What the return value and the status word of adjtimex(2) say of the clock."""
    return state != _TIME_ERROR and not status & _STA_UNSYNC


def minute_of_day() -> int:
    """The minute of the day in this device's own time zone, 0 to 1439."""
    now = time.localtime()
    return now.tm_hour * 60 + now.tm_min


def timezone() -> str:
    """The device's time zone, an IANA name; empty where nothing says it."""
    try:
        link = str(Path("/etc/localtime").readlink())
    except OSError:
        link = ""
    debian = Path("/etc/timezone")
    return timezone_in(os.environ.get("TZ", ""), link, debian.read_text("utf-8") if debian.is_file() else "")


def timezone_in(variable: str, link: str, debian: str) -> str:
    """The IANA name that is said by TZ, by where /etc/localtime leads, or by /etc/timezone, in this order."""
    for said in (variable.removeprefix(":"), link, debian.strip()):
        name = said.partition("zoneinfo/")[2] or said
        if _ZONE.fullmatch(name):
            return name
    return ""


def disk_free_bytes(path: Path) -> int | None:
    """The free space where a path is or would be made."""
    for place in (path, *path.absolute().parents):
        if place.exists():
            disk = os.statvfs(place)
            return disk.f_bavail * disk.f_frsize
    return None


def python_version() -> str:
    """`3.11.2`."""
    return ".".join(map(str, sys.version_info[:3]))


def _read(name: str) -> str:
    """A file of /proc; nothing where it is absent or not ours to read."""
    try:
        return (PROC / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
