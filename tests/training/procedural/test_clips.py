"""Procedural clips show what their labels say, and are drawn alike for the same seeds."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from vidx.training.procedural.clips import HELD_OUT, TRAINING, Clips, View, views
from vidx.training.procedural.motions import LABELS

SIZE = 64


def clips_of(label: str, number: int = 6, *, seed: int = 0, difficulty: float = 0.0) -> Clips:
    labels = torch.full((number,), LABELS.index(label))
    (found,) = views(
        seed, seed + 1, [View(seed + 2)], labels, look=TRAINING, size=SIZE, difficulty=difficulty
    )
    return found


def mean_motion(label: str) -> Tensor:
    """To the right and downward, where something moves, shape (clips, 2)."""
    motion = clips_of(label).motion
    return (motion[..., :2] * motion[..., 2:]).sum(dim=1) / motion[..., 2:].sum(dim=1)


def brightness(label: str) -> Tensor:
    """Shape (clips, frames)."""
    return clips_of(label).frames.float().mean(dim=(2, 3, 4))


def changes(frames: Tensor) -> Tensor:
    """Mean difference of each frame to the next, shape (clips, frames - 1)."""
    return frames.float().diff(dim=1).abs().mean(dim=(2, 3, 4))


def test_there_are_20_to_40_classes_with_names_of_their_own() -> None:
    assert 20 <= len(LABELS) <= 40
    assert len(set(LABELS)) == len(LABELS)


def test_the_same_seeds_give_the_same_clips_and_others_do_not() -> None:
    first, again = clips_of("orbits", seed=7), clips_of("orbits", seed=7)
    other = clips_of("orbits", seed=8)
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.motion, again.motion)
    assert not torch.equal(first.frames, other.frames)


def test_a_motion_can_be_seen_again_in_another_look() -> None:
    labels = torch.tensor([LABELS.index("zigzags")] * 4)
    # Two views of one seed, which differ in nothing but their looks.
    (first,) = views(1, 2, [View(3)], labels, look=TRAINING, size=SIZE, difficulty=0.0)
    (other,) = views(1, 9, [View(3)], labels, look=TRAINING, size=SIZE, difficulty=0.0)
    moved = (first.motion[..., 2].flatten(), other.motion[..., 2].flatten())
    assert torch.corrcoef(torch.stack(moved))[0, 1] > 0.8
    assert (first.frames.float() - other.frames.float()).abs().mean() > 10


@pytest.mark.parametrize(
    ("label", "axis", "sign"),
    [
        ("moves left", 0, -1),
        ("moves right", 0, 1),
        ("moves up", 1, -1),
        ("moves down", 1, 1),
        # What the camera passes moves the other way in the picture.
        ("camera pans left", 0, 1),
        ("camera pans right", 0, -1),
        ("camera tilts up", 1, 1),
        ("camera tilts down", 1, -1),
    ],
)
def test_what_is_said_to_move_one_way_does(label: str, axis: int, sign: int) -> None:
    motion = mean_motion(label)
    assert (motion[:, axis] * sign > 0).all()
    assert (motion[:, axis].abs() > motion[:, 1 - axis].abs()).all()


@pytest.mark.parametrize(("label", "sign"), [("camera zooms in", 1), ("camera zooms out", -1)])
def test_a_zoom_moves_everything_from_or_to_the_middle(label: str, sign: int) -> None:
    side = SIZE // 16
    motion = clips_of(label).motion.view(6, -1, side, side, 3).mean(dim=1)
    line = torch.linspace(-1, 1, side)
    outward = motion[..., 0] * line + motion[..., 1] * line[:, None]
    assert (outward.sum(dim=(1, 2)) * sign > 0).all()


def relative_motion(label: str) -> tuple[Tensor, Tensor]:
    """Divergence and curl (clockwise) of what moves about its middle, shape (clips,) each."""
    side = SIZE // 16
    motion = clips_of(label, 12).motion.view(12, -1, side, side, 3)
    line = torch.linspace(-1, 1, side)
    x, y, weight = line.view(1, 1, 1, side), line.view(1, 1, side, 1), motion[..., 2]
    total = weight.sum(dim=(2, 3), keepdim=True).clamp_min(1e-9)
    x = x - (x * weight).sum(dim=(2, 3), keepdim=True) / total
    y = y - (y * weight).sum(dim=(2, 3), keepdim=True) / total
    outward = (motion[..., 0] * x + motion[..., 1] * y).sum(dim=(1, 2, 3))
    clockwise = (motion[..., 1] * x - motion[..., 0] * y).sum(dim=(1, 2, 3))
    return outward, clockwise


@pytest.mark.parametrize(
    ("label", "sign"), [("approaches", 1), ("recedes", -1), ("splits", 1), ("merges", -1)]
)
def test_what_grows_or_parts_moves_outward(label: str, sign: int) -> None:
    outward, _ = relative_motion(label)
    assert (outward * sign > 0).float().mean() > 0.7
    assert outward.sum() * sign > 0


@pytest.mark.parametrize(
    ("label", "sign"), [("turns clockwise", 1), ("turns counter-clockwise", -1)]
)
def test_what_turns_does_so_the_way_it_is_said_to(label: str, sign: int) -> None:
    _, clockwise = relative_motion(label)
    assert (clockwise * sign > 0).float().mean() > 0.9


@pytest.mark.parametrize(("label", "early"), [("appears", False), ("disappears", True)])
def test_what_appears_is_not_there_before(label: str, early: bool) -> None:
    frames = clips_of(label, 12).frames.float()
    detail = (frames - frames.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(2, 3, 4))
    more_early = detail[:, 0] > detail[:, -1]
    assert (more_early == early).float().mean() > 0.7


@pytest.mark.parametrize(("label", "sign"), [("light brightens", 1), ("light darkens", -1)])
def test_light_changes_as_it_is_said_to(label: str, sign: int) -> None:
    course = brightness(label)
    assert ((course[:, -1] - course[:, 0]) * sign > 3).all()


def test_nothing_moves_in_what_is_still() -> None:
    clips = clips_of("still")
    assert clips.motion.abs().max() < 1e-6
    assert changes(clips.frames).max() < 1


@pytest.mark.parametrize("label", [name for name in LABELS if name != "still"])
def test_something_changes_in_all_other_classes(label: str) -> None:
    # Some stand still at their beginning or end; a hidden or plain part may hardly be seen.
    most = changes(clips_of(label, 12).frames).amax(dim=1)
    assert most.median() > 0.4


def test_told_motion_is_what_the_pixels_do() -> None:
    clips = clips_of("camera pans right", difficulty=1.0)
    frames = clips.frames.permute(0, 1, 4, 2, 3).float()  # (clips, frames, 3, size, size)
    told = clips.motion.view(len(frames), 8, -1, 3).mean(dim=2)  # (clips, pairs, 3)
    first, second = frames[:, 0::2].flatten(0, 1), frames[:, 1::2].flatten(0, 1)
    moved = told.flatten(0, 1)
    maps = torch.eye(2, 3).repeat(len(first), 1, 1)
    maps[:, :, 2] = -moved[:, :2]
    grid = F.affine_grid(maps, list(first.shape), align_corners=False)
    guessed = F.grid_sample(first, grid, padding_mode="border", align_corners=False)
    clear = moved[:, 2] > 0.04
    inner = (slice(None), slice(None), slice(16, -16), slice(16, -16))
    error = (guessed - second)[inner].abs().mean(dim=(1, 2, 3))[clear]
    still = (first - second)[inner].abs().mean(dim=(1, 2, 3))[clear]
    assert clear.sum() > 10
    assert error.mean() < still.mean() / 2


def test_held_out_outlines_and_patterns_are_none_of_trainings() -> None:
    assert not set(HELD_OUT.outlines.values()) & set(TRAINING.outlines.values())
    assert not set(HELD_OUT.patterns.values()) & set(TRAINING.patterns.values())
    (clips,) = views(1, 2, [View(3)], torch.arange(len(LABELS)), look=HELD_OUT, size=SIZE)
    assert clips.frames.shape == (len(LABELS), 16, SIZE, SIZE, 3)


def test_difficult_clips_have_more_in_them_than_easy_ones() -> None:
    easy, hard = clips_of("moves left"), clips_of("moves left", difficulty=1.0)
    detail = [clips.frames.float().diff(dim=2).abs().mean() for clips in (easy, hard)]
    assert detail[1] > 1.5 * detail[0]


@pytest.mark.long
def test_a_view_of_more_strength_differs_more_from_the_usual_one() -> None:
    labels = torch.full((8,), LABELS.index("orbits"))
    usual, same, far = views(
        1, 2, [View(3), View(3, strength=1.0), View(3, strength=3.0)], labels, look=TRAINING,
        size=SIZE,
    )  # fmt: skip
    middle = views(1, 2, [View(3, strength=0.0)], labels, look=TRAINING, size=SIZE)[0]
    assert torch.equal(usual.frames, same.frames)

    def apart(one: Clips) -> float:
        return (one.frames.float() - middle.frames.float()).abs().mean().item()

    assert apart(far) > 1.3 * apart(usual)


def test_a_later_view_shows_what_the_first_one_comes_to() -> None:
    labels = torch.full((8,), LABELS.index("moves left"))
    first, later = views(
        1, 2, [View(3, strength=0.0), View(3, strength=0.0, later=5 / 15)], labels,
        look=TRAINING, size=SIZE, difficulty=0.0,
    )  # fmt: skip
    apart = (first.frames[:, 5:].float() - later.frames[:, :-5].float()).abs().mean()
    assert apart < 0.5 * (first.frames.float() - later.frames.float()).abs().mean()
