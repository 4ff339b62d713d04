"""What the service consists of: which files from which templates, which commands, what it cannot see. Pure.

Writing the files is `files.py`, running the commands `systemd.py`. The templates are deploy/systemd/ of the repository.
"""

from collections.abc import Iterable

NAME = "edge-coordinator"
USER = "nearfield-coordinator"
STATE = "/var/lib/nearfield-coordinator"
MARK = "# Written by edge-coordinator install"
"""How every file begins that is ours to overwrite and to remove."""

UNIT = "etc/systemd/system/edge-coordinator.service"
SYSUSERS = "etc/sysusers.d/edge-coordinator.conf"
TMPFILES = "etc/tmpfiles.d/edge-coordinator.conf"
TEMPLATES = {
    UNIT: "edge-coordinator.service",
    SYSUSERS: "edge-coordinator.sysusers",
    TMPFILES: "edge-coordinator.tmpfiles",
}
"""The template of each file; places are relative to the root of the system."""

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - by name: PrivateTmp hides them
"""What a service does not see under `ProtectHome` and `PrivateTmp`."""

WANTED = "etc/systemd/system/multi-user.target.wants/edge-coordinator.service"
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


def hidden(paths: Iterable[str]) -> str | None:
    """The first path that the service would not see."""
    return next((path for path in paths if any(path.startswith(f"{place}/") for place in HIDDEN)), None)


def activation(program: str, *, new: bool, now: bool) -> tuple[Command, ...]:
    """The commands that follow on written files: the user, the folder and, where it is new, its keys; the service.

    The folder is made once, here: a coordinator that started with `init` would make another authority where the key
    of the first has been taken to a safe place.
    """
    init = ("runuser", "-u", USER, "--", program, "init", "--dir", STATE)
    return (
        ("systemd-sysusers", f"/{SYSUSERS}"),
        ("systemd-tmpfiles", "--create", f"/{TMPFILES}"),
        *((init,) if new else ()),
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable", *(("--now",) if now else ()), NAME),
    )
