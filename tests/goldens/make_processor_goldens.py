"""Write processor.json: what VideoMAEFeatureExtractor of transformers 4.57 gives.

transformers 5 has dropped that name, and its Pillow back end leaves `data_format` out. Run it in an
environment of its own, not in the one of the tests:

    pip install transformers==4.57.6 pillow==13.0.0 torch
    python tests/goldens/make_processor_goldens.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL
import transformers

HEIGHT, WIDTH = 9, 14
SIZES = {"size": {"shortest_edge": 7}, "crop_size": {"height": 5, "width": 6}}
# Given to the extractor, then to the call.
CASES: list[tuple[dict, dict]] = [
    (SIZES, {}),
    (SIZES, {"data_format": "channels_last"}),
    (SIZES, {"do_normalize": False, "data_format": "channels_first"}),
    (SIZES, {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}),
    (SIZES | {"resample": 3, "rescale_factor": 0.01}, {"do_center_crop": False}),
    ({"do_resize": False, "do_center_crop": False}, {"do_rescale": False}),
    ({}, {"size": {"height": 5, "width": 11}, "crop_size": {"height": 8, "width": 6}}),
]


def main() -> None:
    """Run every case over one small video of noise."""
    video = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    cases = []
    for options, call in CASES:
        extractor = transformers.VideoMAEFeatureExtractor(**options)
        pixels = extractor(list(video), return_tensors="np", **call).pixel_values
        rounded = np.round(pixels.astype(np.float64), 6).ravel().tolist()
        cases.append(
            {"options": options, "call": call, "shape": pixels.shape, "pixel_values": rounded}
        )
    golden = {
        "transformers": transformers.__version__,
        "pillow": PIL.__version__,
        "video": video.tolist(),
        "cases": cases,
    }
    Path(__file__).with_name("processor.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
