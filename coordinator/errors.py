"""What goes wrong, and by whose fault: the errors that a person can meet, and the exit codes of the commands."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


class NearfieldError(Exception):
    """One line that says what is wrong, where, and what to do."""

    exit_code = Exit.FAILED


class BadInput(NearfieldError):
    """A file, document or value that cannot be used."""


class WrongUsage(BadInput):
    """An argument or option that is none."""

    exit_code = Exit.USAGE


class Unreachable(NearfieldError):
    """Nobody answers at an address."""

    exit_code = Exit.UNREACHABLE


class Refused(NearfieldError):
    """Understood and not permitted: untrusted, not allowed, in use."""

    exit_code = Exit.REFUSED


class NotFound(NearfieldError):
    """No such thing."""


class Conflict(Refused):
    """It stands against what is there: a name that is taken, a version in use."""
