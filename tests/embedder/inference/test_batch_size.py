"""The memory of a clip is measured once for each shape, device and precision."""

from __future__ import annotations

import pytest
import torch

from vidx.embedder.inference import batch_size


@pytest.fixture
def measured(monkeypatch, tmp_path) -> list[object]:
    """What is measured, on a pretended GPU of 1 GiB where a clip takes 100 MiB."""
    calls: list[object] = []

    def clip_bytes(encoder: object) -> int:
        calls.append(encoder)
        return 100 << 20

    monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Some GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1 << 30, 2 << 30))
    monkeypatch.setattr(batch_size, "clip_bytes", clip_bytes)
    return calls


def test_it_is_measured_once_and_remembered(lean, measured) -> None:
    assert [batch_size.fitting_batch_size(lean) for _ in range(3)] == [8, 8, 8]
    assert measured == [lean]


def test_another_shape_precision_or_device_is_measured_anew(
    lean, make_lean, measured, monkeypatch
) -> None:
    others = [make_lean("bfloat16"), make_lean(intermediate_size=96), make_lean(num_frames=8)]
    for encoder in [lean, *others]:
        batch_size.fitting_batch_size(encoder)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Another GPU")
    batch_size.fitting_batch_size(lean)
    assert measured == [lean, *others, lean]


@pytest.mark.parametrize("content", ["", "[]", '{"key": "text"}'])
def test_a_damaged_memory_only_costs_the_measurement(lean, measured, tmp_path, content) -> None:
    (tmp_path / batch_size.CACHE_FILE).write_text(content)
    assert batch_size.fitting_batch_size(lean) == 8
    assert measured == [lean]
