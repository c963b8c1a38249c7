"""Graph: a pass of the encoder as one CUDA graph, which the driver launches as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vidx.embedder.inference.lane import Tensors

WARM_UPS = 2  # libraries choose their kernels, and take what they keep, outside of the graph


class Graph:
    """Recorded once for one batch size; takes about a second of passes, and no compiler.

    Args:
        run: The pass: uint8 frames on the device to outputs there.
        frames: A batch as it will come: its shape and device.

    Attributes:
        clips: The batch size.
    """

    def __init__(self, run: Callable[[Tensor], Tensors], frames: Tensor) -> None:
        self.clips = len(frames)
        self._frames = frames.clone()
        aside = torch.cuda.Stream(frames.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                run(self._frames)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads, such as one that pins memory, may go on meanwhile.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._outputs = run(self._frames)

    def __call__(self, frames: Tensor) -> Tensors:
        """Run the pass.

        Args:
            frames: uint8, of the very shape.

        Returns:
            The outputs, until the next call writes over them.
        """
        self._frames.copy_(frames)
        self._graph.replay()
        return self._outputs
