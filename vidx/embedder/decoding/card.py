"""Decoding by the decoder of a graphics card (NVIDIA's NVDEC, by FFmpeg), where that is exact.

Only codecs whose standard says every bit of a picture are given to it, so that its pictures are the
processor's, and only videos whose packets leave no doubt. What it cannot decode is decoded by the
processor. It does not tell of damage inside of a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import av.error
import av.logging
from av.codec import Codec
from av.codec.hwaccel import HWAccel, HWDeviceType

from vidx.embedder.decoding.container import describe
from vidx.embedder.decoding.ffmpeg_log import Listening
from vidx.errors import DeviceError

EXACT = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
# A process has one context that all its files share. To make one takes longer than most files do.
SHARED: dict[str, object] = {"primary_ctx": "1"}


@dataclass(frozen=True, slots=True)
class FellBack:
    """Videos of a codec are decoded by the processor, and why."""

    codec: str
    why: str


class Card:
    """One CUDA device, as a process decodes with it.

    Args:
        number: As CUDA counts.
        tell: Called with what it cannot decode, once for each codec and reason.
    """

    def __init__(self, number: int, tell: Callable[[FellBack], None]) -> None:
        self.number = number
        self._tell = tell
        self._told: set[FellBack] = set()
        self._problem = ""
        try:
            self._context = _context(number, SHARED)
        except DeviceError as error:
            self._problem = error.problem

    def takes(self, codec: str) -> bool:
        """Whether to try it with videos of a codec, named as FFmpeg's decoder; if not, it tells."""
        why = self._problem or _reason_against(codec)
        if why:
            self.refuse(codec, why)
        return not why

    def refuse(self, codec: str, why: str) -> None:
        """Tell that it did not decode a video."""
        told = FellBack(codec, why)
        if told not in self._told:
            self._told.add(told)
            self._tell(told)

    def accelerator(self) -> HWAccel:
        """What a file is opened with: it fails rather than decode by the processor unnoticed."""
        return HWAccel("cuda", str(self.number), allow_software_fallback=False, options=SHARED)


def cards_for(decoder: str, device: str) -> tuple[int, ...]:
    """The cards that decode: none for `cpu`, and for `cuda` the model's own, or the first.

    >>> cards_for("cuda", "cuda:0,cuda:1"), cards_for("cuda", "cpu"), cards_for("cpu", "cuda")
    ((0, 1), (0,), ())
    """
    if decoder == "cpu":
        return ()
    kinds = [name.partition(":") for name in device.split(",")]
    return tuple(int(number or 0) for kind, _, number in kinds if kind == "cuda") or (0,)


def see_decoder(decoder: str) -> None:
    """See that what is to decode is there, before anything is begun.

    Raises:
        DeviceError: It is `cuda`, and there is no card that decodes.
    """
    if decoder == "cuda":
        _context(0, {})  # not the shared one, which torch may have begun in another way


def _context(number: int, options: dict[str, object]) -> HWAccel:
    """Begin to use a card; that ends with what is returned."""
    listening = Listening(av.logging.ERROR)
    try:
        with listening:
            return HWAccel("cuda", str(number), options=options).create(Codec("h264", "r"))
    except (av.error.FFmpegError, NotImplementedError) as error:
        said = [line.text for line in listening.lines]
        raise DeviceError(
            f"no NVIDIA card {number} that decodes is to be had here: "
            f"{said[0] if said else describe(error)}",
            "Leave out --decoder cuda.",
        ) from None


def _reason_against(codec: str) -> str:
    """Why no card gets a codec; empty: it may try."""
    kinds = [one.device_type for one in Codec(codec, "r").hardware_configs or ()]
    if HWDeviceType.cuda not in kinds:
        return "FFmpeg knows no way to do it"
    return "" if codec in EXACT else "its pictures would not be the same to the bit"
