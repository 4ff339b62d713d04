"""Command lines as argparse reads them, complained about in one line with the nearest thing that exists."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from edge_node.errors import Exit


class LineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; its subparsers are of this class too."""

    def error(self, message: str) -> NoReturn:
        """Say the line on standard error and exit with code 2."""
        self.exit(Exit.USAGE, f"edge-node: {message}; see {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]  # typeshed has overloads for namespaces of other types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse, refusing what is left over: here its parser's options are known, further up they are not."""
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            self.error(self._unknown(left[0]))
        return parsed, left

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"{word!r} is one argument too many"
        option = word.partition("=")[0]
        return f"unknown option {option}{nearest(option, self._option_string_actions)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = list(map(str, action.choices))
            hint = nearest(str(value), known) or f": give one of {', '.join(known)}"
            raise argparse.ArgumentError(action, f"unknown value {value!r}{hint}")


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where nothing is near."""
    import difflib  # for complaints alone

    found = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""
