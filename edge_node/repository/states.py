"""The initial states that a Triton model's configuration names, read: raw values in row-major order."""

from pathlib import Path

from edge_node.errors import BadInput
from edge_node.repository.found import Found
from edge_node.repository.triton_config import Implicit
from edge_node.worker.messages import LaneState

MOST_BYTES = 64 << 20


def read_states(found: Found) -> tuple[LaneState, ...]:
    """The states of a model's version.

    Raises:
        BadInput: a file is not there, lies outside the model's folder, or is larger than any state.
    """
    return tuple(
        LaneState(one.input, one.output, one.shape, _initial(one, found.states)) for one in found.config.states
    )


def _initial(state: Implicit, folder: Path | None) -> bytes:
    if not state.file or folder is None:
        return b""
    path = folder / state.file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"state {state.input!r} names a file outside {folder}: {state.file!r}")
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}: the initial state {state.input!r}") from None
    if not content or len(content) > MOST_BYTES:
        raise BadInput(f"{path} has no initial state: it is empty, or larger than {MOST_BYTES >> 20} MiB")
    return content
