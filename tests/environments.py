"""Virtual environments with one requirement lock each, made once under build/ and kept until the lock changes."""

import fcntl
import subprocess
import sys
from pathlib import Path

from protos.digest import digest_of, hex_of
from tests.conftest import ROOT

PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def environment(name: str) -> Path:
    """The programs of an environment with `requirements/<name>.txt` and this project, as a wheel of today's files."""
    programs = packages(name)
    place = programs.parent.parent
    for old in place.glob("*.whl"):
        old.unlink()
    said(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place)
    said(programs / "python", *PIP, "--no-deps", "--force-reinstall", *place.glob("*.whl"))
    return programs


def packages(name: str, *options: str) -> Path:
    """The programs of an environment with `requirements/<name>.txt` alone; `options` are pip's."""
    requirements = ROOT / "requirements" / f"{name}.txt"
    place = ROOT / "build" / "environments" / name
    programs = place / "venv" / "bin"
    ready = place / f"ready-{hex_of(digest_of(requirements.read_bytes() + sys.version.encode()))[:12]}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else wants it waits until it is there
        if not ready.exists():
            said(sys.executable, "-m", "venv", "--clear", place / "venv")
            said(programs / "python", *PIP, "--require-hashes", *options, "-r", requirements)
            ready.touch()
    return programs


def said(*command: object, cwd: Path = ROOT) -> str:
    """What a program prints; its failure is the test's, with what it said."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
