"""What of a node's words about itself belongs into the audit log: that it keeps more, or less, from leaving. Pure."""

import msgspec

from coordinator.audit.chain import Act
from coordinator.fleet.records import Node
from protos.reported import Facts


def policy_changes(known: Node, facts: Facts) -> tuple[Act, ...]:
    """The act of a node whose own configuration holds other things back than it did; none where it is as before."""
    before, after = known.facts.egress, facts.egress
    if before == after:
        return ()
    detail = {"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after)}
    return (Act(known.id, "node.egress", known.full_name, detail),)
