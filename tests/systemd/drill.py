"""Does what docs/reference/install.md tells a person to do, where a real systemd runs, and looks at what comes of it.

It is root in the virtual machine of `boot.sh`, which nothing is lost with, and runs once after each start: the first
time it installs, breaks and restarts the services and starts the machine anew, the second time it sees that they came
back, removes them and ends the machine. Debian's Python alone is there, so it imports nothing else.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

GOODS, PROGRAMS = Path("/mnt"), Path("/opt/nearfield/bin")
CONFIG = Path("/etc/nearfield/edge-node.toml")
SERVICES = {"edge-coordinator": "nearfield-coordinator", "edge-node": "nearfield"}
"""The user of each; so are their folders called."""
MOST_EXPOSED = 2.5
STOP_S, WATCHDOG_S = 30, 60
"""TimeoutStopSec and WatchdogSec of the units."""
SLOW_S = 240
"""An emulated processor takes so long for what is done in seconds."""
DEPLOYMENT = """\
name: shelf
selector: site=store-12
model: inspection@1
pipelines:
  - name: shelf
    source: line
    fps: 1
"""


def sh(command: str) -> str:
    """What a command prints; one that fails is the drill's failure."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def refused(command: str) -> str:
    """What a command that has to fail says."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode != 0, f"{command}: {done.stdout}"
    return done.stderr


def until(condition: Callable[[], bool], what: str, seconds: float = SLOW_S) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not in {seconds} s"
        time.sleep(1)


def shown(service: str, name: str) -> str:
    """A property of a service, as systemd knows it."""
    return sh(f"systemctl show --property {name} --value {service}").strip()


def processes(service: str) -> list[int]:
    """All processes of a service."""
    file = Path("/sys/fs/cgroup" + shown(service, "ControlGroup"), "cgroup.procs")
    return [int(line) for line in file.read_text().split()] if shown(service, "ControlGroup") and file.exists() else []


def is_active(service: str) -> bool:
    """Whether it said that it is ready (`Type=notify`)."""
    return shown(service, "ActiveState") == "active"


def results() -> int:
    """How many results the coordinator has."""
    return len(sh("edgectl results query --since 1d --limit 1000 --json").splitlines())


def worker() -> int:
    """The process that runs models."""
    ours = (pid for pid in processes("edge-node") if b"edge_node.worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return next(ours, 0)


def _environment() -> dict[str, str]:
    return {"PATH": f"{PROGRAMS}:{os.defpath}:/usr/sbin:/sbin", "HOME": "/root", "USER": "root", "COLUMNS": "200"}


def the_program_is_installed_below_opt() -> None:
    sh("sudo python3 -m venv /opt/nearfield")
    pip = f"sudo {PROGRAMS}/pip install --quiet --no-index --find-links {GOODS}/wheels"
    for lock in ("coordinator", "node"):
        sh(f"{pip} --require-hashes -r {GOODS}/requirements/{lock}.txt")
    sh(f"{pip} --no-deps {GOODS}/nearfield-*.whl")


def a_coordinator_is_one_command() -> None:
    sh(f"sudo {PROGRAMS}/edge-coordinator install --now")
    mine = "~/.config/nearfield"
    for file, name in (("admin.pem", "credentials.pem"), ("keys/publisher.key", "publisher.key")):
        sh(f'sudo install -D -m 600 -o "$USER" /var/lib/nearfield-coordinator/{file} {mine}/{name}')
    sh("sudo shred -u /var/lib/nearfield-coordinator/keys/publisher.key")
    assert "connected    yes" in sh("edgectl status")
    said = sh("journalctl --unit edge-coordinator")
    assert re.search(r"coordinator 127\.0\.0\.1:7070 · enrollment 127\.0\.0\.1:7071 · broker mqtts://127", said), said
    assert "reception only permitted for main PID" not in said


def a_node_is_enrolled_by_its_token() -> None:
    sh(f"sudo {PROGRAMS}/edge-node install --name cam-3")
    sh(f"cp {GOODS}/line.mp4 /srv")
    with CONFIG.open("a") as file:
        file.write('[sources.line]\nurl = "/srv/line.mp4"\nloop = true\n')
    enroll = f"sudo -u nearfield {PROGRAMS}/edge-node enroll --config {CONFIG}"
    token = sh("edgectl node token create --site store-12").split()[-1]
    said = refused(f"{enroll} {token} --coordinator 127.0.0.1:7070")
    assert "--coordinator 127.0.0.1:7071" in said, said
    assert not Path("/var/lib/nearfield/node").exists()
    assert "start it with sudo systemctl start edge-node" in sh(f"{enroll} {token}")
    sh("sudo systemctl start edge-node")


def both_run_as_users_of_their_own() -> None:
    for service, user in SERVICES.items():
        assert is_active(service)
        owners = {Path(f"/proc/{pid}").owner() for pid in processes(service)}
        assert owners == {user}, owners
        folder = Path("/var/lib", user)
        assert (folder.owner(), folder.group(), folder.stat().st_mode & 0o777) == (user, user, 0o700)
        readable = [file for file in folder.rglob("*.key") if file.stat().st_mode & 0o077]
        assert readable == []
    assert (CONFIG.owner(), CONFIG.group(), CONFIG.stat().st_mode & 0o777) == ("root", "nearfield", 0o640)


def they_leave_the_system_little_exposed() -> None:
    for service in SERVICES:
        said = sh(f"systemd-analyze security --no-pager {service}").splitlines()[-1]
        level = re.search(r"exposure level for \S+: ([0-9.]+) ", said)
        assert level is not None, said
        assert float(level[1]) <= MOST_EXPOSED, said
        print(f"     {service}: {level[1]}")


def a_model_serves_in_a_confined_process() -> None:
    sh(f"edgectl model push {GOODS}/inspection --key ~/.config/nearfield/publisher.key")
    Path("/root/shelf.yaml").write_text(DEPLOYMENT)
    sh("edgectl deployment apply /root/shelf.yaml")
    until(lambda: results() > 3, "results")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker()}/status").read_text().splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"], int(status["CapBnd"], 16)) == ("1", "2", 0)
    assert re.search(r"processes that open models: Landlock \d, seccomp", sh("journalctl --unit edge-node"))
    assert "Operation not permitted" not in sh("journalctl --unit edge-node")


def a_killed_agent_is_started_again_and_leaves_no_process() -> None:
    before = processes("edge-node")
    _broken(signal.SIGKILL)
    assert not set(before) & set(processes("edge-node"))


def a_hung_agent_is_killed_by_the_watchdog() -> None:
    _broken(signal.SIGSTOP)
    assert "Failed with result 'watchdog'" in sh("journalctl --unit edge-node --no-pager")


def _broken(how: signal.Signals) -> None:
    """Break the agent; it has to come back and go on."""
    had, pid = results(), int(shown("edge-node", "MainPID"))
    os.kill(pid, how)
    until(lambda: is_active("edge-node") and int(shown("edge-node", "MainPID")) != pid, "another agent", 2 * SLOW_S)
    until(lambda: results() > had, "results of the other agent")


def a_killed_coordinator_comes_back_with_its_broker() -> None:
    os.kill(int(shown("edge-coordinator", "MainPID")), signal.SIGKILL)
    until(lambda: shown("edge-coordinator", "NRestarts") == "1" and is_active("edge-coordinator"), "the coordinator")
    had = results()
    until(lambda: results() > had, "results after that")


def both_stop_in_time_and_leave_no_process() -> None:
    for service in reversed(SERVICES):
        began = time.monotonic()
        sh(f"sudo systemctl stop {service}")
        assert time.monotonic() - began < STOP_S
        assert (shown(service, "Result"), processes(service)) == ("success", [])


def both_are_back_after_a_start_of_the_machine() -> None:
    for service in SERVICES:
        until(partial(is_active, service), service)
    had = results()
    until(lambda: results() > had, "results after the start")


def an_update_keeps_what_there_is() -> None:
    said = sh(f"sudo {PROGRAMS}/edge-node install")
    assert said == "all files are there already\nnext: sudo systemctl restart edge-node\n", said
    sh("sudo systemctl restart edge-node edge-coordinator")
    had = results()
    until(lambda: results() > had, "results after the update")


def what_is_removed_is_what_was_installed() -> None:
    for service, user in SERVICES.items():
        sh(f"sudo {PROGRAMS}/{service} uninstall")
        assert shown(service, "LoadState") == "not-found"
        assert Path("/var/lib", user).is_dir()
        sh(f"sudo {PROGRAMS}/{service} uninstall --purge")
        assert not Path("/var/lib", user).exists()
        sh(f"sudo userdel {user}")
    left = sh("find / -xdev -nouser -o -xdev -nogroup; find /etc -name '*nearfield*' -o -name 'edge-*'")
    assert left == "", left
    assert sh("systemctl --failed --plain --no-legend") == ""


FIRST = (
    the_program_is_installed_below_opt,
    a_coordinator_is_one_command,
    a_node_is_enrolled_by_its_token,
    both_run_as_users_of_their_own,
    they_leave_the_system_little_exposed,
    a_model_serves_in_a_confined_process,
    a_killed_agent_is_started_again_and_leaves_no_process,
    a_hung_agent_is_killed_by_the_watchdog,
    a_killed_coordinator_comes_back_with_its_broker,
    both_stop_in_time_and_leave_no_process,
)
AFTERWARDS = (
    both_are_back_after_a_start_of_the_machine,
    an_update_keeps_what_there_is,
    what_is_removed_is_what_was_installed,
)


def main() -> None:
    """The part of the drill that this start of the machine is for."""
    again = PROGRAMS.exists()
    try:
        for step in AFTERWARDS if again else FIRST:
            began = time.monotonic()
            step()
            print(f"ok   {step.__name__.replace('_', ' ')} ({time.monotonic() - began:.0f} s)")
    except AssertionError as error:
        print(f"FAILED {step.__name__.replace('_', ' ')}: {error}")
        print(sh("journalctl --no-pager --lines 60 --unit 'edge-*'"))
        again = True
    else:
        print("THE DRILL PASSED" if again else "and once more after a start of the machine")
    sh("systemctl poweroff" if again else "systemctl reboot")


if __name__ == "__main__":
    main()
