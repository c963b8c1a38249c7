"""Operations are counted as a profiler counts them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from vidx.embedder.inference.operations import operations_per_clip
from vidx.embedder.videomae import VideoMAEConfig, VideoMAEModel
from vidx.embedder.videomae.preprocess import Preprocessing

CONFIGS = {
    "base": VideoMAEConfig(),
    "small": VideoMAEConfig(
        hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_hidden_layers=12
    ),
    "few tokens": VideoMAEConfig(
        image_size=32, patch_size=8, hidden_size=96, num_hidden_layers=2, intermediate_size=192
    ),
    "8 frames": VideoMAEConfig(num_frames=8, tubelet_size=4, image_size=(96, 160)),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_count_equals_a_profilers_within_2_percent(name) -> None:
    config = CONFIGS[name]
    pixels = torch.empty(1, config.num_frames, 3, *config.frame_shape, device="meta")
    with torch.device("meta"):
        model = VideoMAEModel(config, attn_implementation="eager").to("meta").eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(pixels)
    assert operations_per_clip(config) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_the_lean_path_takes_no_more_operations_than_counted() -> None:
    from vidx.embedder.inference.lean import LeanEncoder

    config = CONFIGS["few tokens"]
    lean = LeanEncoder(VideoMAEModel(config), Preprocessing.from_dict({}))

    # The counter knows the fused kernels of GPUs by itself.
    def count(query, key, value, *_, **__):
        return sdpa_flop_count(query, key, value)

    known = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: count}
    counter = FlopCounterMode(display=False, custom_mapping=known)
    with torch.inference_mode(), counter:
        lean(torch.zeros(2, *lean.frames_shape, dtype=torch.uint8))
    assert counter.get_total_flops() == pytest.approx(2 * operations_per_clip(config), rel=0.02)
