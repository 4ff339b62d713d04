"""How many values a shape has, with a limit; products stop before they grow long."""

from collections.abc import Iterable

from protos.admission.limits import Inadmissible, Limits


def elements(dims: Iterable[int], limits: Limits, what: str) -> int:
    """The values of a tensor with these axes.

    Raises:
        Inadmissible: an axis is negative, or there are more axes or values than are taken.
    """
    axes = list(dims)
    if len(axes) > limits.axes:
        raise Inadmissible(f"{what} of {len(axes)} axes; at most {limits.axes} are taken")
    if any(axis < 0 for axis in axes):
        raise Inadmissible(f"{what} with the negative axis {min(axes)}")
    return 0 if 0 in axes else bounded(axes, limits, what)


def bounded(factors: Iterable[float], limits: Limits, what: str) -> int:
    """The product of what makes a tensor grow; factors below 1 do not shrink it.

    Raises:
        Inadmissible: it is more than is taken.
    """
    product = 1
    for factor in factors:
        if not abs(factor) <= limits.tensor_elements:
            raise Inadmissible(_too_many(what, limits))
        product *= max(1, int(abs(factor)))
        if product > limits.tensor_elements:
            raise Inadmissible(_too_many(what, limits))
    return product


def check_margins(margins: Iterable[tuple[float, float]], limits: Limits, what: str) -> None:
    """Return if padding makes no more than is taken of one value; margins are (before, after) of each axis.

    Raises:
        Inadmissible: it makes more.
    """
    bounded((1 + abs(before) + abs(after) for before, after in margins), limits, what)


def _too_many(what: str, limits: Limits) -> str:
    return f"{what} of more than {limits.tensor_elements} values"
