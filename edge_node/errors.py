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
    """An argument or option that is wrong, or missing."""

    exit_code = Exit.USAGE


class Unreachable(NearfieldError):
    """Nobody answers at an address."""

    exit_code = Exit.UNREACHABLE


class Unanswered(Unreachable):
    """Somebody was told a thing and did not answer: it may have been done."""


class Refused(NearfieldError):
    """Understood and not permitted: untrusted, not allowed, in use."""

    exit_code = Exit.REFUSED


class Stranger(Refused):
    """Somebody answers who is not the one that is trusted."""


class EngineFailed(NearfieldError):
    """An engine gave up on an input that was in order."""


class WorkerFailed(NearfieldError):
    """A worker refused a request, died on it, or hung."""
