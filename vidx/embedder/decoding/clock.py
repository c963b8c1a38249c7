"""When a decoded frame is on the screen, from timestamps that may be missing, jump or lie."""

from __future__ import annotations

from collections.abc import Callable

from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS

# In streams made to be joined a step of 10 s is a seam (the ffmpeg tool's dts_delta_threshold);
# elsewhere a picture may stand for an hour.
SEAM_SECONDS = 10.0
LONGEST_SECONDS = 3600.0
# A step back this small is a frame that came out of order; a larger one begins a joined stream.
LATE_SECONDS = 0.2
# A timestamp this far off is a stray when its neighbours go on as if it were not there.
STRAY_SECONDS, STRAY_FRAMES = 1.0, 8
SHOWN_SEAMS = 5


def unrounded(seconds: float, nominal_seconds: float) -> float:
    """Undo a container's rounding of a frame's duration, which would move the video's end.

    Args:
        seconds: As the container has it.
        nominal_seconds: As the stream's rate has it.
    """
    is_nominal = abs(seconds - nominal_seconds) < TOLERANCE_SECONDS
    return nominal_seconds if is_nominal else seconds


class Clock:
    """Turns the timestamps of frames, in the order they come out, into seconds from the first.

    Args:
        time_base: Seconds a timestamp unit; 0.0 when the container gives none.
        frame_seconds: How long a frame lasts when nothing says otherwise.
        longest_step: A longer step forward, in seconds, is a seam between joined streams, unless
            what lay between was lost.
        has_pts: Whether the container keeps presentation times. AVI keeps the order of decoding
            alone, and what passes for presentation times steps to and fro.
        goes_on: Given a packet and two presentation times: whether a later packet near it is shown
            after the first time and by the second.

    Attributes:
        first_timestamp_seconds: The container's time of the first frame.
        seams: When a jump was taken out, and by how many seconds the clock had jumped.
        num_strays: Frames whose timestamps were not believed.
    """

    def __init__(
        self,
        time_base: float,
        frame_seconds: float,
        longest_step: float,
        *,
        has_pts: bool = True,
        goes_on: Callable[[int, int, int], bool] = lambda *_: False,
    ) -> None:
        self.time_base = time_base
        self.frame_seconds = frame_seconds
        self.longest_step = longest_step
        self.has_pts = has_pts
        self.goes_on = goes_on
        self.first_timestamp_seconds = 0.0
        self.seams: list[tuple[float, float]] = []
        self.num_strays = 0
        self._last: float | None = None
        self._last_pts: int | None = None
        self._origin: float | None = None
        self._stamps = _Stamps()

    def time(
        self, pts: int | None, dts: int | None, packet: int = 0, *, follows_loss: bool = False
    ) -> float | None:
        """Say when the next frame appears.

        Args:
            pts: The frame's presentation time, in units of the time base.
            dts: The decoding time of the packet that let the frame out.
            packet: The place of the frame's packet in the stream.
            follows_loss: Whether packets before it were lost.

        Returns:
            Seconds from the first frame, larger than all before; None for a frame that comes
            too late to be shown.
        """
        if not self.has_pts or self.time_base <= 0:
            pts = None
        expected = 0.0 if self._last is None else self._last + self.frame_seconds
        if self._is_stray(pts, packet):
            self.num_strays += 1
            self._last = expected
            return expected
        self._last_pts = self._last_pts if pts is None else pts
        stamp = self._stamps.best(pts, dts)
        if stamp is None or self.time_base <= 0:
            time: float | None = expected
        else:
            longest = LONGEST_SECONDS if follows_loss else self.longest_step
            time = self._time_of(stamp * self.time_base, expected, longest)
        self._last = self._last if time is None else time
        return time

    def _is_stray(self, pts: int | None, packet: int) -> bool:
        """Whether a timestamp is far off while those of its neighbours go on as before."""
        if pts is None or self._last_pts is None:
            return False
        stray = max(STRAY_SECONDS, STRAY_FRAMES * self.frame_seconds) / self.time_base
        if abs(pts - self._last_pts) <= stray:
            return False
        return self.goes_on(packet, self._last_pts, self._last_pts + int(stray))

    def _time_of(self, container_seconds: float, expected: float, longest: float) -> float | None:
        if self._origin is None:
            if self._last is None:
                self.first_timestamp_seconds = container_seconds
            self._origin = container_seconds - expected
            return expected
        time = container_seconds - self._origin
        last = self._last or 0.0
        if last - LATE_SECONDS < time <= last:
            return None
        if time <= last or time > last + longest:
            self.seams.append((expected, time - expected))
            self._origin = container_seconds - expected
            return expected
        return time

    def notes(self) -> tuple[str, ...]:
        """What was done to the times, in plain sentences."""
        jumps = [f"{jump:+.3f} s at {time:.3f} s" for time, jump in self.seams[:SHOWN_SEAMS]]
        if len(self.seams) > SHOWN_SEAMS:
            jumps.append(f"and {len(self.seams) - SHOWN_SEAMS} more")
        notes = [f"jumps of the clock taken out: {', '.join(jumps)}"] if jumps else []
        if self.num_strays:
            notes.append(f"stray timestamps not believed: {self.num_strays}")
        return tuple(notes)

    def duration(self, pts: int | None, duration: int | None) -> float:
        """Say how long a frame is shown when none follows.

        Args:
            pts: The frame's presentation time; without one its duration means nothing either.
            duration: In units of the time base, as the container has it.
        """
        seconds = (duration or 0) * self.time_base
        known = pts is not None and 0 < seconds <= self.longest_step
        return unrounded(seconds, self.frame_seconds) if known else self.frame_seconds


class _Stamps:
    """Which of a frame's two timestamps to believe.

    Damage leaves frames with the presentation times of others. As with FFmpeg's
    `best_effort_timestamp`, the kind is believed that stepped back less often so far.
    """

    def __init__(self) -> None:
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._bad_pts = 0
        self._bad_dts = 0

    def best(self, pts: int | None, dts: int | None) -> int | None:
        if dts is not None:
            self._bad_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._bad_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if pts is None or (dts is not None and self._bad_pts > self._bad_dts):
            return dts
        return pts
