"""`make audit`: asks a public service about every package of every lock. `python -m tests.audit PIP_AUDIT`.

A vulnerability, a package that was not audited, and a service that does not answer are failures, each one line.
pip-audit leaves out what a marker excludes on this machine, and takes no package in two versions: it gets every pin
without its marker, in as many rounds as there are versions.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.locks import Pin, locks

OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")


class NotAudited(Exception):
    """The service did not answer."""


def rounds(pins: Iterable[Pin]) -> list[list[Pin]]:
    """The pins in groups that hold every package once."""
    groups: list[dict[str, Pin]] = []
    for pin in sorted(set(pins), key=lambda one: (one.name, one.version)):
        free = next((group for group in groups if pin.name not in group), None)
        if free is None:
            groups.append(free := {})
        free[pin.name] = pin
    return [list(group.values()) for group in groups]


def complaints(pins: Iterable[Pin], answer: dict[str, Any]) -> list[str]:
    """What is wrong, in lines: vulnerabilities, and pins that the answer does not speak of."""
    spoken = {(one["name"], one["version"]): one["vulns"] for one in answer["dependencies"] if "vulns" in one}
    lines = [f"{pin.name} {pin.version} was not audited" for pin in pins if (pin.name, pin.version) not in spoken]
    for (name, version), vulnerabilities in spoken.items():
        for found in vulnerabilities:
            repaired = ", ".join(found["fix_versions"]) or "no version yet"
            lines.append(f"{name} {version}: {found['id']}, repaired in {repaired}")
    return lines


def audited(program: str, pins: Sequence[Pin]) -> dict[str, Any]:
    """What pip-audit says of pins, each package once.

    Raises:
        NotAudited: it could not ask.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("".join(f"{pin.line}\n" for pin in pins), encoding="utf-8")
        done = subprocess.run([program, *OPTIONS, "-r", str(file)], capture_output=True, text=True, check=False)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise NotAudited(f"the audit could not be made: {last[:300]}") from None


def main(program: str) -> int:
    """Audit all locks; the exit code."""
    pins = {pin for lock in locks().values() for pin in lock}
    try:
        lines = [line for group in rounds(pins) for line in complaints(group, audited(program, group))]
    except NotAudited as error:
        lines = [str(error)]
    print("\n".join(lines) or f"{len(pins)} packages, no known vulnerability")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
