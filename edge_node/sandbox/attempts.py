"""Collects what a kernel does and what it refuses, in the words of `Confined`."""

from collections.abc import Callable

from edge_node.sandbox.confinement import Confined


class Attempts:
    """Each `make` is an attempt that may fail; the `result` names them all."""

    def __init__(self) -> None:
        self._applied: list[str] = []
        self._missing: list[str] = []

    def make(self, name: str, act: Callable[[], int | None], *, tell: bool = True) -> bool:
        """Whether an act succeeded, which gives its version where it has one; `tell` also says so where it did."""
        try:
            found = act()
        except OSError as error:
            self._missing.append(f"{name} ({error.strerror})")
            return False
        if tell:
            self._applied.append(name if found is None else f"{name} {found}")
        return True

    def result(self) -> Confined:
        """What was applied and what is missing."""
        return Confined(tuple(self._applied), tuple(self._missing))
