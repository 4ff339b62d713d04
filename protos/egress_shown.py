"""The fields of the egress contract as people read them. Pure."""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect


def fields_of(what: Any) -> tuple[str, ...]:
    """The fields that a kind's message may have, with dots for what lies inside; of events those of every task."""
    return () if what is None else tuple(dict.fromkeys(_names(inspect.type_info(what), "")))


def _names(info: inspect.Type, head: str) -> Iterator[str]:
    if isinstance(info, inspect.UnionType):
        for one in info.types:
            yield from _names(one, head)
    elif isinstance(info, inspect.StructType):
        for field in info.fields:
            yield from _names(field.type, f"{head}.{field.encode_name}" if head else field.encode_name)
    elif isinstance(info, inspect.VarTupleType):
        yield from _names(info.item_type, head)
    elif not isinstance(info, inspect.NoneType):
        yield f"{head}{_size(info)}"


def _size(info: inspect.Type) -> str:
    most = getattr(info, "max_length", None)
    return "" if most is None else f" ({most})"
