"""Which node a person means, and whether a name is free. Pure."""

from collections.abc import Iterable

from coordinator.errors import BadInput, Conflict, NotFound
from coordinator.fleet.records import Node


def find_node(reference: str, nodes: Iterable[Node]) -> Node:
    """The node that an id, a `site/name`, or a name that only one site has stands for.

    Raises:
        NotFound: no node is called that.
        BadInput: several are.
    """
    known = tuple(nodes)
    exact = [node for node in known if reference in (node.id, node.full_name)]
    found = exact or [node for node in known if node.name == reference]
    if not found:
        raise NotFound(f"no node {reference!r}: see edgectl node list")
    if len(found) > 1:
        raise BadInput(f"several nodes are called {reference!r}: {', '.join(node.full_name for node in found)}")
    return found[0]


def check_free(wanted: Node, holder: Node | None) -> None:
    """Nobody else is called what the node is to be called; `holder` is who is called that now.

    Raises:
        Conflict: another id holds that site and name.
    """
    if holder is not None and holder.id != wanted.id:
        raise name_taken(holder)


def name_taken(holder: Node) -> Conflict:
    """What to say where somebody wants the name of another node."""
    return Conflict(
        f"the name {holder.full_name} belongs to another node ({holder.id[:12]}…): choose another name; to swap its "
        f"hardware, edgectl node replace {holder.full_name}; to remove it, edgectl node delete {holder.full_name}"
    )
