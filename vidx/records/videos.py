"""Videos and clips, as they are decoded and stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Segmentation: TypeAlias = Literal["fixed", "shots"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A half-open span of one video; one clip has one vector.

    Attributes:
        start_seconds: First instant, counted from the first presentable frame.
        end_seconds: First instant after the clip.
    """

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds:
            raise ValueError(
                f"a clip is [start, end) with 0 <= start < end, "
                f"got [{self.start_seconds}, {self.end_seconds})"
            )


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the decoder learned of one video.

    Attributes:
        duration_seconds: From the first frame's time to the end of the last frame.
        width: Pixels, as displayed (after rotation).
        height: Pixels, as displayed (after rotation).
        frame_rate: Frames a second, the container's average; 0.0 when it says nothing.
        codec: The decoder's name, such as `h264`.
        container: The demuxer's name, such as `mov,mp4,m4a,3gp,3g2,mj2`.
        first_timestamp_seconds: The container's time of the first frame, which is our 0.
        rotation_degrees: Counter-clockwise turn that was applied: 0, 90, 180 or 270.
        is_mirrored: Whether the picture was mirrored left to right, before that turn. So a flip
            upside down is one from left to right and a turn by 180.
        notes: What was done to tell its times or what else its file holds, in plain sentences:
            jumps of the clock that were taken out, stray timestamps that were not believed, a
            second film that follows in the same file. Empty for nearly every video.
    """

    duration_seconds: float
    width: int
    height: int
    frame_rate: float
    codec: str
    container: str
    first_timestamp_seconds: float
    rotation_degrees: int
    is_mirrored: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a video, or a part of it, could not be embedded.

    Attributes:
        reason: Short code: `not_a_video`, `no_video_stream`, `truncated`, `decode_error` ...
        message: What the decoder said, or the rule that was broken.
    """

    reason: str
    message: str


# The facts of a clip that are one number each.
FACTS = ("brightness", "contrast", "sharpness", "motion", "black_share", "frozen_share")


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What is plain to see of a clip's samples, as the model gets them: resized and cropped.

    Luma is 0 for black and 1 for white, but for `sharpness`. `docs/formats.md` has all definitions.

    Attributes:
        brightness: Mean luma, 0 to 1.
        contrast: Standard deviation of luma in a sample, mean over every fourth one, 0 to 0.5.
        sharpness: Variance of the Laplacian of luma (0 to 255) in a sample, mean likewise.
        motion: Mean absolute difference of luma between neighbouring samples, 0 to 1.
        black_share: Share of samples that are black, 0 to 1.
        frozen_share: Share of neighbouring samples that are one picture, to the last bit, 0 to 1.
        frame_seconds: When the sampled frames appear, counted from the video's first frame.
        preview: The middle sample as a JPEG file, small, but whole and upright; None where none was
            asked for. A clip that repeats has that of the clip whose pictures it repeats.
    """

    brightness: float
    contrast: float
    sharpness: float
    motion: float
    black_share: float
    frozen_share: float
    frame_seconds: tuple[float, ...]
    preview: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EmbeddedVideo:
    """The clips of one video with their vectors.

    Attributes:
        info: What the decoder learned of the video.
        clips: n spans in time order.
        facts: What is plain to see of each.
        repeats: Whether each has the very pictures of the clip before, and so its vector.
        embeddings: float32, shape (n, dim), raw (not normalised), all finite.
        logits: float16, shape (n, num_labels), or None when the model has no head.
        problem: Why some of the video is missing, or None when it is whole.
        is_last: Whether the video ends with these clips; False of a part that others follow, whose
            info and problem are what is known so far.
    """

    info: VideoInfo
    clips: tuple[Clip, ...]
    facts: tuple[ClipFacts, ...]
    repeats: tuple[bool, ...]
    embeddings: NDArray[np.float32]
    logits: NDArray[np.float16] | None
    problem: Problem | None
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """What is stored of a video whose last part is not there yet.

    Attributes:
        take: The name of this cutting of the video, which all its parts share.
        num_parts: Parts that are stored.
        num_clips: Clips in them.
        last_start_seconds: Start of the last of these clips: only later ones are to come.
        has_non_finite: Whether some clips before that are missing for their vectors.
        path: Where the video was when the last of them was stored.
    """

    take: str
    num_parts: int
    num_clips: int
    last_start_seconds: float
    has_non_finite: bool
    path: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file or object as it was when its bytes were hashed.

    Attributes:
        path: Absolute path, or a URL.
        size_bytes: Its size; None where nobody says.
        version: What changes with its bytes: of a file its time of last change, in nanoseconds
            since the epoch; of an object its ETag or version.
    """

    path: str
    size_bytes: int | None
    version: str


class Span(NamedTuple):
    """A stretch of a video, half open.

    Attributes:
        start_seconds: Where it begins.
        end_seconds: Where it ends; None: with the video.
    """

    start_seconds: float = 0.0
    end_seconds: float | None = None
