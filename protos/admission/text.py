"""Whether the text files of a bundle may be read: labels, and `model.toml`."""

from protos.admission.limits import LIMITS, Inadmissible, Limits, Malformed

Buffer = memoryview


def check_labels(content: Buffer, limits: Limits = LIMITS) -> None:
    """Return if a label file is within the limits; one label per line.

    Raises:
        Malformed: not UTF-8.
        Inadmissible: beyond a limit.
    """
    check_size(len(content), limits.label_bytes, "labels")
    try:
        lines = bytes(content).decode().splitlines()
    except UnicodeDecodeError:
        raise Malformed("no text in UTF-8") from None
    if len(lines) > limits.labels:
        raise Inadmissible(f"{len(lines)} labels; at most {limits.labels} are taken")
    longest = max(map(len, lines), default=0)
    if longest > limits.label_length:
        raise Inadmissible(f"a label of {longest} characters; at most {limits.label_length} are taken")


def check_size(size: int, most: int, what: str) -> None:
    """Return if there are not more bytes.

    Raises:
        Inadmissible: there are.
    """
    if size > most:
        raise Inadmissible(f"{what} of {size} bytes; at most {most} are taken")
