"""What may be asked of the stored results, and whether a result is an answer. Pure values."""

from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.results.records import Arrival


@dataclass(frozen=True)
class Filter:
    """Empty fields match everything. `node` is a name or an id."""

    site: str = ""
    node: str = ""
    pipeline: str = ""
    model: str = ""

    def matches(self, result: Arrival) -> bool:
        """Whether the result is of this site, node, pipeline and model."""
        return (
            self.site in ("", result.site)
            and self.node in ("", result.name, result.node)
            and self.pipeline in ("", result.pipeline)
            and self.model in ("", result.model)
        )

    def select(self, results: Iterable[Arrival]) -> list[Arrival]:
        """Those that match."""
        return [result for result in results if self.matches(result)]


@dataclass(frozen=True)
class Query:
    """`since_us <= time < until_us` in microseconds since 1970, of capture; `limit` 0 is all.

    With `newest` the last `limit` results, else the first; oldest first either way.
    """

    filter: Filter = Filter()
    since_us: int | None = None
    until_us: int | None = None
    limit: int = 0
    newest: bool = False


@dataclass(frozen=True)
class Count:
    """Stored results, and numbers that stand for dropped ones."""

    results: int
    dropped: int
