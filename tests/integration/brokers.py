"""Real Mosquittos for the integration tests of the links: plain, with a password file, with TLS; killed at will."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WAIT_S = 20.0


@dataclass
class RealMosquitto:
    """One Mosquitto on a port of its own, which it keeps when it is started again."""

    folder: Path
    port: int
    extra: str = "allow_anonymous true"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        lines = [f"listener {self.port} 127.0.0.1", f"user {user}", "set_tcp_nodelay true", self.extra, ""]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines))
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "mosquitto"
        command = [program, "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path, extra: str = "allow_anonymous true") -> Iterator[RealMosquitto]:
    """A running Mosquitto."""
    broker = RealMosquitto(folder, free_port(), extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def password_file(folder: Path, **users: str) -> Path:
    """A password file of Mosquitto with these users."""
    file = folder / "passwords"
    file.write_text("".join(f"{user}:{password}\n" for user, password in users.items()))
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True, capture_output=True)
    return file
