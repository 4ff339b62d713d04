"""What was pushed and never published is dropped after a week."""

from coordinator.registry.expiry import KEPT_S, expired


def test_content_of_more_than_a_week_is_expired() -> None:
    assert expired({"old": KEPT_S + 1, "just": KEPT_S, "new": 0.0, "of a clock that was set back": -5.0}) == ("old",)
