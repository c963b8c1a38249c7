"""What users reported of video tools, file by file: `reports/` of the media, with what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from numbered_videos import number_in

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, decode_clips

WHOLE = [clip.start_seconds for clip in clip_spans(10.0, Sampling(), Plan())]

# file: seconds, starts of the clips that are stored, reason, and a word of message or notes
TRUTH = {
    "trunc_av.mkv": (5.533, None, "truncated", "of 10."),
    "trunc_frag.mp4": (6.0, None, "truncated", "amid its data"),
    "query_cut.mp4": (4.733, None, "truncated", "of 10.000 s"),
    "hole.webm": (10.0, [0, 1], "decode_error", "3 of 5 clips"),
    "hole.ts": (10.0, [0, 3, 4], "decode_error", "2 of 5 clips"),
    "hole.avi": (10.0, [0, 3, 4], "decode_error", "2 of 5 clips"),
    "ts_burst_loss.ts": (8.0, [0], "decode_error", "3 of 4 clips"),
    "raw_camera.mjpeg": (2.0, [0], None, ""),
    "jump_2h.mp4": (10.0, [0, 1, 2, 3, 4], None, "jumps of the clock"),
    "pts_outlier_600s.mp4": (10.0, [0, 1, 2, 3, 4], None, "not believed: 2"),
    "jump_12s.ts": (10.0, [0, 1, 2, 3, 4], None, "jumps of the clock"),
    "late_video.mkv": (10.0, [0, 1, 2, 3, 4], None, ""),
    "avi_null_end.avi": (10.0, [0, 1, 2, 3, 4], None, ""),
    "vp9_last_hold.mp4": (9.967, None, None, ""),
    "ts_pid_change.ts": (10.0, [0, 1, 2, 3, 4], None, ""),
    "cat_two.mp4": (10.0, [0, 1, 2, 3, 4], None, "second film"),
    "motion_photo.MP": (3.0, None, None, ""),
    "ribbon_3840x16.mp4": (3.0, None, None, ""),
    "eio_av.mkv": (10.0, [0, 1, 2, 3, 4], None, ""),
}
NUMBERED = ("jump_2h.mp4", "pts_outlier_600s.mp4", "jump_12s.ts", "ts_pid_change.ts", "hole.avi")


@pytest.mark.parametrize("name", TRUTH)
def test_a_reported_file_gives_what_is_right(name: str, media: Path) -> None:
    seconds, kept, reason, words = TRUTH[name]
    geometry = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
    *clips, video = decode_clips(str(media / "reports" / name), Sampling(), Plan(), geometry)
    assert isinstance(video, DecodedVideo)
    assert video.info.duration_seconds == pytest.approx(seconds, abs=0.01)
    assert (video.problem.reason if video.problem else None) == reason
    told = (video.problem.message if video.problem else "") + " ".join(video.info.notes)
    assert words in told
    if kept is not None:
        starts = [clip.clip.start_seconds for clip in clips if not isinstance(clip, DecodedVideo)]
        assert starts == pytest.approx([WHOLE[number] for number in kept][: len(starts)], abs=0.2)
        assert len(starts) == len(kept)


@pytest.mark.parametrize("name", NUMBERED)
def test_its_frames_come_at_their_times(name: str, media: Path) -> None:
    geometry = FrameGeometry(resize_to=(64, 64))
    *clips, _ = decode_clips(str(media / "reports" / name), Sampling(), Plan(), geometry)
    for clip in clips:
        assert isinstance(clip, DecodedClip)
        expected = [int((time + 0.002) * 30) for time in frame_times(clip.clip, Sampling())]
        assert [number_in(frame) for frame in clip.frames] == expected
