"""Strict reading of documents that people write: every complaint names the place and, for a typo, the nearest key."""

import difflib
import re
from typing import Any, TypeVar

import msgspec

from protos.errors import ContractError

T = TypeVar("T")

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `(?P<path>[^`]*)`)?")


def convert(document: object, kind: type[T], where: str) -> T:
    """The document as a struct of `kind`, whose fields forbid unknown ones.

    Args:
        document: what a TOML, YAML or JSON parser gave.
        kind: the struct type.
        where: the file or place, for the complaint.

    Raises:
        ContractError: what is wrong, where, and the nearest known key.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ContractError(f"{where}: {_explained(str(error), kind)}") from None


def _explained(complaint: str, kind: type) -> str:
    unknown = _UNKNOWN.fullmatch(complaint)
    if unknown is None:
        return complaint.replace(" - at `$", " at `")
    key, path = unknown["key"], (unknown["path"] or "$").removeprefix("$").lstrip(".")
    known = _known_keys(kind)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key {key!r}{f' in {path}' if path else ''}; {hint}"


def _known_keys(kind: type) -> list[str]:
    """Every key of the struct and of the structs inside it."""
    found: dict[str, None] = {}
    pending: list[Any] = [msgspec.inspect.type_info(kind)]
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            for field in info.fields:
                found[field.encode_name] = None
                pending.append(field.type)
        for inner in ("types", "item_types"):
            pending.extend(getattr(info, inner, ()))
        pending.extend(getattr(info, inner) for inner in ("item_type", "value_type") if hasattr(info, inner))
    return list(found)
