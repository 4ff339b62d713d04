"""A file of labels, read as a person's: a line per class."""

from pathlib import Path

from edge_node.errors import BadInput, Refused
from protos.admission.bundle import content_of, naming
from protos.admission.limits import LIMITS, Inadmissible, Malformed
from protos.admission.text import check_labels


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a text file, one per line; empty lines at its end do not count.

    Raises:
        BadInput: it cannot be read, or is no text.
        Refused: it is too long, or a label is.
    """
    try:
        with path.open("rb") as file, naming(str(path), "a text in UTF-8 with a label per line"):
            content = content_of(file, LIMITS.label_bytes)
            check_labels(content)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: give a text file with one label per line") from None
    except Malformed as error:
        raise BadInput(str(error)) from None
    except Inadmissible as error:
        raise Refused(str(error)) from None
    return tuple(line.strip() for line in bytes(content).decode().rstrip().splitlines())
