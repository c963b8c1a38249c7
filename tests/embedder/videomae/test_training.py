"""A model of our own can be pre-trained, stopped and gone on with."""

from __future__ import annotations

import math

import pytest
import torch

from vidx.embedder.videomae import VideoMAEConfig, VideoMAEForPreTraining, tube_mask

MICRO = VideoMAEConfig(
    image_size=16,
    patch_size=4,
    num_frames=4,
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=128,
    decoder_hidden_size=64,
    decoder_num_hidden_layers=2,
    decoder_num_attention_heads=4,
    decoder_intermediate_size=128,
    initializer_range=0.05,
    layer_norm_eps=1e-6,
    use_mean_pooling=False,
)
STEPS = 300
RATE = 3e-3


def clips() -> torch.Tensor:
    """Eight clips of slow waves that travel, each its own way, shape (8, 4, 3, 16, 16)."""
    generator = torch.Generator().manual_seed(0)
    time, y, x = torch.meshgrid(
        torch.arange(4.0), torch.arange(16.0), torch.arange(16.0), indexing="ij"
    )
    made = []
    for _ in range(8):
        # In radians a frame or pixel, for each colour.
        speed, down, right = 0.4 * torch.rand(3, 3, 1, 1, 1, generator=generator) - 0.2
        made.append(torch.sin(speed * time + down * y + right * x))  # (3, 4, 16, 16)
    return torch.stack(made).transpose(1, 2).contiguous()


def rate(step: int) -> float:
    """The learning rate: up for 20 steps, then down along a cosine."""
    return RATE * min(1, (step + 1) / 20) * (1 + math.cos(math.pi * step / STEPS)) / 2


@pytest.fixture(autouse=True)
def one_thread():
    """Matrices as small as these are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Training:
    """A model and its optimiser; each step's mask is drawn from the step's number."""

    def __init__(self, model: VideoMAEForPreTraining) -> None:
        self.model = model.train()
        self.optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.95))

    def run(self, pixels: torch.Tensor, steps: range) -> list[float]:
        return [self.step(pixels, number) for number in steps]

    def step(self, pixels: torch.Tensor, number: int) -> float:
        self.optimizer.param_groups[0]["lr"] = rate(number)
        mask = tube_mask(MICRO, len(pixels), generator=torch.Generator().manual_seed(number))
        loss = self.model(pixels, mask).loss
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


@pytest.mark.timeout(120)
def test_pretraining_learns_the_pixels_of_eight_clips() -> None:
    torch.manual_seed(0)
    losses = Training(VideoMAEForPreTraining(MICRO)).run(clips(), range(STEPS))
    assert sum(losses[:5]) / 5 > 0.9  # 1.0 is predicting each patch's mean
    assert sum(losses[-20:]) / 20 < 0.6


def test_training_goes_on_from_a_saved_checkpoint_as_if_it_had_not_stopped(tmp_path) -> None:
    pixels = clips()
    torch.manual_seed(0)
    undisturbed = Training(VideoMAEForPreTraining(MICRO))
    first = undisturbed.run(pixels, range(10))
    undisturbed.model.save_pretrained(tmp_path)
    torch.save(undisturbed.optimizer.state_dict(), tmp_path / "optimizer.pt")
    expected = undisturbed.run(pixels, range(10, 20))
    assert expected[-1] < first[0]

    resumed = Training(VideoMAEForPreTraining.from_pretrained(tmp_path))
    resumed.optimizer.load_state_dict(torch.load(tmp_path / "optimizer.pt"))
    assert resumed.run(pixels, range(10, 20)) == pytest.approx(expected, abs=1e-6)
