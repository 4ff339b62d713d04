"""How a process is to be confined, and how it is: the words of it. Nothing is done here."""

from typing import Literal

import msgspec

Mode = Literal["auto", "require", "off"]

THREADS = "not confined: isolation = thread"
OFF = "not confined: worker.sandbox = off"


class Confinement(msgspec.Struct, frozen=True):
    """What a process is to be held to, on top of what every engine needs.

    `mode`: "auto" takes what the kernel has, "require" refuses to work without all of it, "off" leaves files, network
    and system calls alone. `readable` are the files and folders of its models, `writable` the
    folders of devices that it needs, `scratch` a folder of its own where it may make, rename and remove files.
    `memory_mb` is a limit in any mode, 0 is none.
    """

    mode: Mode = "auto"
    readable: tuple[str, ...] = ()
    memory_mb: int = 0
    writable: tuple[str, ...] = ()
    scratch: str = ""


class Confined(msgspec.Struct, frozen=True):
    """What holds a process, and what does not, with the reason."""

    applied: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line: `Landlock 7, seccomp`, or what is missing after it."""
        held = ", ".join(self.applied) or "not confined"
        return f"{held}; without {'; without '.join(self.missing)}" if self.missing else held
