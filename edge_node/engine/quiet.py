"""Native libraries that talk on standard error while a model loads: what is mere information is left out."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = b"INFO:"
_STDERR = 2
_lock = threading.Lock()


@contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on the lines that do not begin with `INFO:`."""
    with _lock, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        real = os.dup(_STDERR)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(real, _STDERR)
            held.seek(0)
            os.write(real, b"".join(line for line in held if not line.startswith(CHATTER)))
            os.close(real)
