"""Moments in documents: aware datetimes, RFC 3339 in JSON."""

from datetime import datetime
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that says its zone. msgspec reads and writes it as RFC 3339."""
