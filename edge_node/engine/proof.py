"""What proving a variant on this device found. Plain data: the agent reads it without importing an engine."""

import msgspec


class VariantProof(msgspec.Struct, frozen=True, omit_defaults=True):
    """One variant on one engine, tried on this device.

    `agreement` is in the unit of the manifest's `agree` (fraction, IoU, absolute difference), None without golden
    vectors; latencies are of one inference with preprocessing, in milliseconds, after warming.
    """

    file: str
    engine: str
    engine_version: str
    accelerator: str
    threads: int
    vectors: int
    agrees: bool
    """no golden vectors: true, and `vectors` is 0"""
    agreement: float | None = None
    tolerance: float | None = None
    load_ms: float = 0.0
    """with the start of the engine"""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    error: str = ""
    """why it cannot run here, one line; then it does not agree"""
