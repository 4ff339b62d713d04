"""Decides which frames a rate keeps, and when a file's frame is due. Time is an argument, in seconds."""

import math

_TOLERANCE = 0.01
"""of an interval: timestamps are rounded to the container's time base"""
_MOST_BEHIND_S = 1.0
"""a player that is further behind (a suspended process) goes on from where it is instead of rushing"""


class Thinning:
    """Keeps at most `fps` frames of each second of the stream; without `fps` it keeps all.

    It keeps the first frame of each interval of the stream's time, so that who begins later keeps the same ones.
    """

    def __init__(self, fps: float | None) -> None:
        self._fps = fps
        self._kept: int | None = None
        self._last_s = 0.0

    def keeps(self, time_s: float) -> bool:
        """Whether the frame of this time is kept. A time before the last one begins a new stream."""
        if self._fps is None:
            return True
        interval = math.floor(time_s * self._fps + _TOLERANCE)
        if self._kept is not None and time_s >= self._last_s and interval <= self._kept:
            self._last_s = time_s
            return False
        self._kept, self._last_s = interval, time_s
        return True


class Pace:
    """Plays a file at its own pace."""

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._last_s = 0.0
        self._interval_s = 0.0

    def wait_s(self, stream_time_s: float, now_s: float) -> float:
        """How long to wait before the frame of this stream time is due.

        A time before the last one begins the file anew, one frame's interval after its last frame.
        """
        if self._start_s is None:
            self._start_s = now_s - stream_time_s
        elif stream_time_s < self._last_s:
            self._start_s += self._last_s + self._interval_s - stream_time_s
        else:
            self._interval_s = stream_time_s - self._last_s
        self._last_s = stream_time_s
        wait_s = self._start_s + stream_time_s - now_s
        if wait_s < -_MOST_BEHIND_S:
            self._start_s = now_s - stream_time_s
        return max(0.0, wait_s)
