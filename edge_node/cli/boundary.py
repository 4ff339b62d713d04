"""Where a command ends: what a person did wrong is one line on standard error and an exit code."""

import os
import sys
from collections.abc import Callable

from edge_node.errors import Exit, NearfieldError


def ended(act: Callable[[], int]) -> int:
    """The exit code of a command, with everything it printed written out."""
    try:
        code = int(act())
        sys.stdout.flush()
    except NearfieldError as error:
        print(f"edge-node: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return Exit.FAILED
    except BrokenPipeError:  # whoever read has enough; Python would complain at exit of what it could not write
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    else:
        return code
