"""What a node counts and measures, as it says so on its `metrics` topic, every half minute while it is connected.

The names are those of the Prometheus metrics, with the one label that a metric has as the key of its object. Counters
are since `started`: a reader that sees another `started` begins to count anew.
"""

import msgspec


class Metrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counters and gauges of one agent. Times are RFC 3339 UTC; bytes are of payloads, without what carries them."""

    at: str
    started: str
    edge_ingress_bytes_total: dict[str, int] = {}
    """by pipeline: encoded bytes that its source took in for it"""
    edge_source_bytes_total: int = 0
    """encoded bytes that all sources took in; a source that two pipelines look at counts once"""
    edge_egress_bytes_total: dict[str, int] = {}
    """by kind of message"""
    edge_egress_refused_total: dict[str, int] = {}
    """by reason: messages that the egress contract kept here"""
    edge_inferences_total: dict[str, int] = {}
    """by pipeline"""
    edge_outbox_depth: int = 0
    edge_outbox_oldest_seconds: float = 0.0
    edge_outbox_dropped_total: dict[str, int] = {}
    """by reason"""
    edge_desired_revision: int = 0
