"""One line on standard error that is written over and over, where standard error is a terminal; silence elsewhere."""

import shutil
import sys


class Progress:
    """A line that replaces itself; it is gone when the block ends.

    with Progress() as progress:
        progress.show("3 of 8")
    """

    def __init__(self) -> None:
        """Nothing is written before the first `show`."""
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        """The line itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the line."""
        self._write("")

    def show(self, text: str) -> None:
        """Replace the line, cut to the width of the terminal."""
        self._write(text[: shutil.get_terminal_size().columns - 1])

    def _write(self, text: str) -> None:
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
