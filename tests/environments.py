"""Virtual environments with one requirement lock each, made once under build/ and kept until the lock changes."""

import subprocess
import sys
from pathlib import Path

from protos.digest import digest_of, hex_of
from tests.conftest import ROOT


def environment(name: str) -> Path:
    """The programs of an environment with `requirements/<name>.txt` and this project, as a wheel of today's files."""
    requirements = ROOT / "requirements" / f"{name}.txt"
    place = ROOT / "build" / "environments" / name
    programs = place / "venv" / "bin"
    key = hex_of(digest_of(requirements.read_bytes() + sys.version.encode()))[:12]
    pip = (programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if not (place / f"ready-{key}").exists():
        said(sys.executable, "-m", "venv", "--clear", place / "venv")
        said(*pip, "--require-hashes", "-r", requirements)
        (place / f"ready-{key}").touch()
    for old in place.glob("*.whl"):
        old.unlink()
    said(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place)
    said(*pip, "--no-deps", "--force-reinstall", *place.glob("*.whl"))
    return programs


def said(*command: object, cwd: Path = ROOT) -> str:
    """What a program prints; its failure is the test's, with what it said."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
