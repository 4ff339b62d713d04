"""Triton's own clients, unmodified, in environments of their own (never beside our stubs): fixtures for all tests.

`triton_client` runs a program with the newest tritonclient (gRPC, HTTP, their asyncio forms, system shared memory) and
gives what it printed; `perf_analyzer` runs the load generator of that name. Both are other processes. The first use on
a machine downloads what `requirements/tritonclient.txt` and `requirements/perf-analyzer.txt` name.
"""

import ctypes
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environments import packages

Client = Callable[..., str]
"""Runs a program with arguments and gives what it printed; a failure is the test's, with what it said."""
LIMIT_S = 60
IN_ANY_WEATHER = ("--measurement-mode", "count_windows", "--measurement-request-count", "20", "-s", "9999", "-r", "10")
"""Options of perf_analyzer: windows of requests, not of time. On a busy machine one of 200 ms may see none answered;
then the program ends with 2, "Failed to obtain stable measurement", whatever `-s` allows."""


@pytest.fixture(scope="session")
def triton_python() -> Path:
    """The interpreter that has tritonclient."""
    return packages("tritonclient") / "python"


@pytest.fixture(scope="session")
def triton_client(triton_python: Path) -> Client:
    """`triton_client(file, *arguments)`: a Python program run with tritonclient."""
    return lambda file, *arguments: finished(triton_python, file, *arguments)


@pytest.fixture(scope="session")
def perf_analyzer() -> Client:
    """`perf_analyzer(*arguments)`: it exists for x86-64 Linux and wants Debian's libb64-0d."""
    if platform.machine() != "x86_64":
        pytest.skip("perf_analyzer has a wheel for x86-64 alone")
    try:
        ctypes.CDLL("libb64.so.0d")
    except OSError:
        absent = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        absent("needs libb64-0d: not installed here")
    programs = packages("perf-analyzer", "--no-deps")
    libraries = next(programs.parent.glob("lib/python*/site-packages/nvidia/cuda_runtime/lib"))
    return lambda *arguments: finished("env", f"LD_LIBRARY_PATH={libraries}", programs / "perf_analyzer", *arguments)


def finished(*command: object) -> str:
    """What a client printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout
