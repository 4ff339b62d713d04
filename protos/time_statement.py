"""What time it is, said by the coordinator: for devices without a clock. Signed, as an envelope of type `TIME`.

    sealed = seal(TIME, time_statement(now, nonce), key)
    statement = read_time_statement(open_sealed(sealed, TIME, trusted), nonce)

The nonce is the asker's: a statement that does not repeat it is an old one.
"""

import base64
from datetime import datetime

import msgspec

from protos.envelope import TIME
from protos.errors import ContractError
from protos.moments import Moment
from protos.reading import read_json

NONCE_BYTES = 16
__all__ = ["NONCE_BYTES", "TIME", "TimeStatement", "read_time_statement", "time_statement"]


class TimeStatement(msgspec.Struct, frozen=True):
    """A time and the base64 of the asker's nonce."""

    time: Moment
    nonce: str


def time_statement(now: datetime, nonce: bytes) -> bytes:
    """The payload to sign."""
    return msgspec.json.encode(TimeStatement(now, base64.b64encode(nonce).decode()))


def read_time_statement(payload: bytes, nonce: bytes) -> TimeStatement:
    """The statement in a payload whose signature holds.

    Raises:
        ContractError: it is none, or repeats another nonce.
    """
    statement = read_json(payload, TimeStatement, "not a time statement")
    if statement.nonce != base64.b64encode(nonce).decode():
        raise ContractError("a time statement that answers another question: it repeats another nonce")
    return statement
