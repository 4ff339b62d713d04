"""MODEL@VERSION as people write it."""

from coordinator.errors import WrongUsage


def model_reference(text: str) -> tuple[str, int]:
    """The model and the number of the version; 0 where none is given.

    Raises:
        WrongUsage: the number is none.
    """
    model, at, version = text.partition("@")
    if at and not (version.isascii() and version.isdecimal() and 0 < int(version) < 2**31):
        raise WrongUsage(f"{text!r}: write MODEL@VERSION, for example mobilenet-v2@1")
    return model, int(version) if at else 0


def exact_reference(text: str) -> tuple[str, int]:
    """The model and the number of the version, which must be given.

    Raises:
        WrongUsage: it is not.
    """
    model, number = model_reference(text)
    if not number:
        raise WrongUsage(f"{text!r}: say which version, for example {text}@1")
    return model, number
