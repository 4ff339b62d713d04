"""Every command in the README is run, in order, as a stranger would type it.

The shell blocks of the README become one script, which runs in a network namespace of its own: the default ports are
free there, and nothing else on the machine can be reached. Where a person would look whether a server is up, the
script waits for the same sign.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(
    r"^(?P<before><!-- not run: (?P<why>.+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
WAIT_FOR = (
    ("edge-node serve", "until curl -sf 127.0.0.1:8000/v2/health/ready; do sleep 0.2; done"),
    ("edge-coordinator serve", "until edgectl status >/dev/null 2>&1; do sleep 0.2; done"),
    ("edge-node run", "until edgectl node list --json | grep -q online; do sleep 0.2; done"),
    (
        "edgectl deployment apply shelf.yaml",
        "until edgectl results query --json 2>/dev/null | grep -q label; do sleep 0.2; done",
    ),
)


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language, without those that say why they are not run."""
    found = BLOCK.finditer(README.read_text(encoding="utf-8"))
    return [match["code"] for match in found if match["language"] == language and match["why"] is None]


def script() -> str:
    """The README's shell commands as one script that stops at the first failure."""
    lines = ["set -euvo pipefail", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for code in blocks("sh"):
        for command in code.replace("\\\n", " ").splitlines():
            lines.append(command)
            lines += [wait for start, wait in WAIT_FOR if command.startswith(start) and "dry-run" not in command]
    return "\n".join(lines) + "\n"


@pytest.mark.needs("unshare", "ip", "mosquitto_sub")
@pytest.mark.timeout(300)
def test_every_command_of_the_readme_works_in_the_order_it_is_written(tmp_path: Path) -> None:
    """Given a checkout and an empty home, when the README is typed, then every command exits 0."""
    namespace = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("no right to make a network namespace here")
    checkout = tmp_path / "nearfield"
    for name in ("deploy", "README.md"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, _made(checkout) / name)
    for number, code in enumerate(blocks("python")):
        (checkout / f"subscriber{number or ''}.py").write_text(code, encoding="utf-8")
    (checkout / "readme.sh").write_text("ip link set lo up\n" + script(), encoding="utf-8")
    environment = {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }
    run = subprocess.Popen(
        [*namespace, "bash", "readme.sh"],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = run.communicate(timeout=240)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, output[-6000:]
    assert "Traceback" not in output


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
