"""What the service consists of: which files from which templates, which commands, what it cannot see. Pure.

Writing the files is `files.py`, running the commands `systemd.py`. The templates are deploy/systemd/ of the repository.
"""

from collections.abc import Iterable

NAME = "edge-node"
USER = "nearfield"
STATE = "/var/lib/nearfield"
IDENTITY = f"{STATE}/node/identity.json"
"""There where the configuration that `install` writes is kept, and the device is enrolled."""

CONFIG = "/etc/nearfield/edge-node.toml"
MARK = "# Written by edge-node install"
"""How every file begins that is ours to overwrite and to remove."""

UNIT = "etc/systemd/system/edge-node.service"
SYSUSERS = "etc/sysusers.d/edge-node.conf"
TMPFILES = "etc/tmpfiles.d/edge-node.conf"
USB = "etc/systemd/system/edge-node.service.d/usb.conf"
TEMPLATES = {
    UNIT: "edge-node.service",
    SYSUSERS: "edge-node.sysusers",
    TMPFILES: "edge-node.tmpfiles",
    USB: "usb.conf",
}
"""The template of each file; places are relative to the root of the system."""

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - by name: PrivateTmp hides them
"""What a service does not see under `ProtectHome` and `PrivateTmp`."""

WANTED = "etc/systemd/system/multi-user.target.wants/edge-node.service"
"""The link that `systemctl enable` makes."""

Command = tuple[str, ...]
STOP: tuple[Command, ...] = (("systemctl", "disable", "--now", NAME),)
FORGET: tuple[Command, ...] = (("systemctl", "daemon-reload"),)
"""What to run before the files are removed, and after."""


def rendered(template: str, program: str) -> str:
    """A template for this installation's program."""
    return template.replace("@PROGRAM@", quoted(program))


def quoted(program: str) -> str:
    """A path as the first word of `ExecStart=`: quoted where it must be, without specifiers (systemd.service(5))."""
    plain = program.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if plain != program or " " in plain else plain


def first_config(name: str) -> str:
    """The configuration that a new installation begins with; `name` is what the device would like to be called."""
    wish = f'name = "{name}"' if name else '# name = "cam-3"'
    return f"""\
# Keys: docs/reference/node.md. After a change: systemctl restart {NAME}
{wish}
state_dir = "{STATE}/node"

# [sources.shelf]
# url = "rtsp://camera.local/stream"
# fps = 5
"""


def hidden(paths: Iterable[str]) -> str | None:
    """The first path that the service would not see."""
    return next((path for path in paths if any(path.startswith(f"{place}/") for place in HIDDEN)), None)


def next_step(program: object, *, enrolled: bool, now: bool) -> str:
    """What a person does after `install`: the service needs an identity once, and an update a restart."""
    if enrolled:
        return f"systemctl status {NAME}" if now else f"sudo systemctl restart {NAME}"
    return f"sudo -u {USER} {program} enroll --config {CONFIG} TOKEN"


def activation(*, now: bool) -> tuple[Command, ...]:
    """The commands that follow on written files: the user, the folders, the service."""
    return (
        ("systemd-sysusers", f"/{SYSUSERS}"),
        ("systemd-tmpfiles", "--create", f"/{TMPFILES}"),
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable", *(("--now",) if now else ()), NAME),
    )
