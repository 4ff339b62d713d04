"""Reading a JSON document that came from outside into its type: the one place that knows how that fails. Pure."""

from typing import TypeVar

import msgspec

from protos.errors import ContractError

T = TypeVar("T")


def read_json(payload: bytes, kind: type[T], complaint: str) -> T:
    """The document as a `kind`.

    Raises:
        ContractError: it is no JSON, not of that form, no UTF-8, or nested without end; begins with `complaint`.
    """
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise ContractError(f"{complaint}: {error}") from None
