"""Strict reading of documents that people write: every complaint names the place and, for a typo, what was meant."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from protos.errors import ContractError

T = TypeVar("T")

# How msgspec words its complaints; the path begins with `$` and has `.field` and `[0]` or `[...]` steps.
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*?)`(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_NO_CHOICE = re.compile(r"Invalid enum value (?P<value>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<field>[^.\[]+)|\[[^\]]*\]")


def convert(document: object, kind: type[T], where: str) -> T:
    """The document as a struct of `kind`, whose fields forbid unknown ones.

    Args:
        document: what a TOML, YAML or JSON parser gave.
        kind: the struct type.
        where: the file or place, for the complaint.

    Raises:
        ContractError: what is wrong, where, and the nearest known key or value.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ContractError(f"{where}: {_explained(str(error), kind)}") from None


def _explained(complaint: str, kind: type) -> str:
    if unknown := _UNKNOWN.fullmatch(complaint):
        known = _keys(_type_at(kind, unknown["path"] or ""))
        return f"unknown key {unknown['key']!r}{_in(unknown['path'])}; {_hint(unknown['key'], known, 'keys')}"
    if choice := _NO_CHOICE.fullmatch(complaint):
        value = choice["value"].strip("'")
        known = _choices(_type_at(kind, choice["path"] or ""))
        return f"unknown value {value!r}{_in(choice['path'])}; {_hint(value, known, 'values')}"
    return _PLACE.sub(lambda place: f" at `{place['path']}`", complaint)


def _in(path: str | None) -> str:
    return f" in {path.lstrip('.')}" if path else ""


def _hint(word: str, known: list[str], what: str) -> str:
    if not known:
        return f"see the reference for the {what} that are known"
    import difflib  # for complaints alone

    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known {what}: {', '.join(sorted(known))}"


def _type_at(kind: type, path: str) -> inspect.Type:
    """The type that stands at a path of a complaint."""
    found: inspect.Type = inspect.type_info(kind)
    for step in _STEP.finditer(path):
        found = _inside(found, step["field"])
    return found


def _inside(info: inspect.Type, field: str | None) -> inspect.Type:
    """The type of a struct's field, or of the items of a sequence or mapping where `field` is None."""
    for option in _options(info):
        if field is not None and isinstance(option, inspect.StructType):
            return next(known.type for known in option.fields if known.encode_name == field)
        if field is None and isinstance(option, inspect.ListType | inspect.VarTupleType):
            return option.item_type
        if field is None and isinstance(option, inspect.DictType):
            return option.value_type
    return inspect.AnyType()


def _keys(info: inspect.Type) -> list[str]:
    structs: Iterable[Any] = (option for option in _options(info) if isinstance(option, inspect.StructType))
    return [field.encode_name for struct in structs for field in struct.fields]


def _choices(info: inspect.Type) -> list[str]:
    found: list[str] = []
    for option in _options(info):
        if isinstance(option, inspect.LiteralType):
            found.extend(map(str, option.values))
        elif isinstance(option, inspect.EnumType):
            found.extend(str(member.value) for member in option.cls)
    return found


def _options(info: inspect.Type) -> tuple[inspect.Type, ...]:
    return info.types if isinstance(info, inspect.UnionType) else (info,)
