"""Native libraries that talk on standard error while a model loads: what is mere information is left out."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = b"INFO:"
_STDERR = 2
_lock = threading.Lock()


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on the lines that do not begin with `INFO:`."""
    with _lock:
        sys.stderr.flush()
        real = os.dup(_STDERR)
        held, into = os.pipe()  # not a file: a confined process may write none
        os.set_blocking(into, False)  # who says more than fits is cut off, not stopped
        os.dup2(into, _STDERR)
        os.close(into)
        try:
            yield
        finally:
            os.dup2(real, _STDERR)
            with os.fdopen(held, "rb") as lines:
                os.write(real, b"".join(line for line in lines if not line.startswith(CHATTER)))
            os.close(real)
