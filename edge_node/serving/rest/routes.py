"""Which operation a method and a path mean."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote

from edge_node.serving.inference import Kind, ServingError
from edge_node.serving.rest.errors import HttpError
from protos.inference.rest import OPERATIONS, Operation

Names = Mapping[str, str]
_PATTERNS = [(operation, operation.path.split("/")) for operation in OPERATIONS]


@lru_cache(maxsize=256)
def route(method: str, path: str) -> tuple[Operation, Names]:
    """The operation, and what the path names (model, version, region). `path` is as it came, without the query.

    Raises `ServingError` for paths that mean nothing, and for methods that are not for a path.
    """
    found = [(operation, names) for operation, pattern in _PATTERNS if (names := _names(pattern, path)) is not None]
    if not found:
        raise ServingError(Kind.NOT_FOUND, f"there is nothing at {path[:100]}")
    asked = "GET" if method == "HEAD" else method
    for operation, names in found:
        if operation.method == asked:
            return operation, names
    allowed = ", ".join(dict.fromkeys(operation.method for operation, _ in found))
    raise HttpError(405, f"{method[:20]} is not for {path[:100]}: {allowed}", {"Allow": allowed})


def _names(pattern: list[str], path: str) -> dict[str, str] | None:
    """What stands for the names of a pattern, None where the path is another one."""
    parts = path.rstrip("/").split("/")
    if len(parts) != len(pattern):
        return None
    names = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{") and part:
            names[wanted[1:-1]] = unquote(part)
        elif wanted != part:
            return None
    return names
