"""Before an engine sees a model file: whether it is taken (`protos.admission`), with the files beside it.

Every engine that reads a file of others asks here first, whoever opens it: `infer`, `bench`, `bundle`, a worker.
"""

from pathlib import Path

from edge_node.errors import BadInput, Refused
from protos.admission.bundle import FORMATS, admit_model, content_of, naming
from protos.admission.limits import Inadmissible, Malformed


def admit(path: Path, engine: str) -> tuple[str, ...]:
    """Return if the engine may open the file: the other files that hold its weights, by their path from its folder.

    Raises:
        BadInput: it cannot be read, or is not a model of that engine.
        Refused: it is beyond a limit, or has weights where it must not.
    """
    weights: dict[str, None] = {}

    def beside(location: str) -> int | None:
        weights[location] = None
        return plain_size(path.parent, location)

    try:
        with naming(str(path), FORMATS.get(engine, "a model")):
            admit_model(engine, mapped(path), beside)
    except Malformed as error:
        raise BadInput(str(error)) from None
    except Inadmissible as error:
        raise Refused(str(error)) from None
    return tuple(weights)


def mapped(path: Path) -> memoryview:
    """The content of a file.

    Raises:
        BadInput: it cannot be read.
        Inadmissible: it is larger than any model.
    """
    try:
        with path.open("rb") as file:
            return content_of(file)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: give the path of a model file") from None


def plain_size(folder: Path, location: str) -> int | None:
    """The bytes of a plain file of a folder; None where there is none, or a link on the way to it."""
    place = folder.resolve() / location
    return place.stat().st_size if place.is_file() and place.resolve() == place else None
