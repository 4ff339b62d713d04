"""How a rollout shall go, as its author writes it in YAML or as options. Nomad's words and rules where it has them.

https://developer.hashicorp.com/nomad/docs/job-specification/update
"""

import msgspec


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When nodes may be given a new version, in the node's own time zone (of its site where it does not say)."""

    start: str = "00:00"
    end: str = "24:00"
    """before `start`: the next day"""
    days: tuple[str, ...] = ()
    """mon … sun; none: every day. Of the day that the window begins on"""


class RolloutSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A rollout of deployment `deployment` to `to` (`name@version`, of the same model or another).

    A share is "5%" of the members or a number of them; shares of waves are cumulative, and the last is all. Times are
    seconds here, "10m" or "1h30m" in a file.
    """

    deployment: str
    to: str
    canary: str = ""
    """the first wave; none: the first of `waves`"""
    waves: tuple[str, ...] = ("100%",)
    max_parallel: str = "10%"
    """members that may be in flight at once: ordered, and neither healthy nor failed; at least 1"""
    shadow_s: float = 0.0
    """how long the candidate runs beside the current version on the canary's nodes first; 0: not at all"""
    shadow_share: float = 1.0
    shadow_cpu: float = 0.5
    min_healthy_s: float = 10.0
    """how long a node must serve the version without a fault"""
    healthy_deadline_s: float = 300.0
    """a member that is not healthy so long after its order has failed"""
    progress_deadline_s: float = 3600.0
    """no member has become healthy for so long: the rollout has failed"""
    gates: tuple[str, ...] = ()
    min_samples: int = 100
    """a gate decides nothing on fewer"""
    slices: tuple[str, ...] = ()
    """what gates are asked of separately as well: pipeline, shift, site, or a label of nodes"""
    shifts: dict[str, str] = {}
    """name → "HH:MM-HH:MM" """
    max_failures: str = "0"
    """members that may fail: one more stops the rollout"""
    auto_promote: bool = False
    """the next wave begins by itself; else each wave waits for a person"""
    auto_revert: bool = False
    """what fails is reverted by itself; else it waits for a person"""
    approval: bool = False
    windows: tuple[Window, ...] = ()
    """none: at any time"""
    per_site: int = 0
    """members of one site in flight at once; 0: no limit"""
    per_group: dict[str, int] = {}
    """label key → members with the same value in flight at once"""
    priority: int = 0
    """the higher goes first where two want the same nodes"""
    max_error_rate: float | None = None
    """what a node goes back by itself at; see `protos.evidence.Trial`"""
    max_p95_ms: float | None = None
    max_memory_mb: float | None = None
    max_restarts: int = 1
