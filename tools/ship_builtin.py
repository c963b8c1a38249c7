"""Put a trained checkpoint into the package, as `builtin:tiny`.

    python tools/ship_builtin.py CHECKPOINT

CHECKPOINT is a folder in the hub's layout, of any precision. Its config, its preprocessing and its
weights in float16 go to vidx/embedder/checkpoints/builtin/tiny, and their SHA-256 to digests.json
beside that folder. What only pre-training needs is left out. The model card, README.md there, is
not touched.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from vidx.embedder.checkpoints.hub import CONFIG_FILE, PREPROCESSOR_FILE, WEIGHTS_FILES
from vidx.embedder.videomae import VideoMAEForVideoClassification, VideoMAEImageProcessor

NAME = "tiny"
# Of this checkout, wherever the vidx that is imported lies.
BUILTIN = Path(__file__).resolve().parents[1] / "vidx/embedder/checkpoints/builtin"
FILES = (CONFIG_FILE, PREPROCESSOR_FILE, WEIGHTS_FILES[0])
MAX_BYTES = 12_000_000


def main() -> None:
    """Write all into a folder of its own, check it, and only then put it in place."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        write(Path(sys.argv[1]), made)
        size = (made / WEIGHTS_FILES[0]).stat().st_size
        if size > MAX_BYTES:
            sys.exit(f"the weights have {size} bytes, the package has room for {MAX_BYTES}")
        (BUILTIN / NAME).mkdir(exist_ok=True)
        for file in FILES:
            shutil.copyfile(made / file, BUILTIN / NAME / file)
    digests = {file: hashlib.sha256((BUILTIN / NAME / file).read_bytes()) for file in FILES}
    listed = {NAME: {file: digest.hexdigest() for file, digest in digests.items()}}
    (BUILTIN / "digests.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    print(f"{size / 1e6:.2f} MB of weights in {BUILTIN / NAME}; now write its README.md.")


def write(checkpoint: Path, folder: Path) -> None:
    """Write a checkpoint anew, in float16."""
    model = VideoMAEForVideoClassification.from_pretrained(checkpoint, dtype=torch.float16)
    for name, value in model.state_dict().items():
        if not value.isfinite().all():
            sys.exit(f"{name} does not fit float16, whose largest number is 65504")
    model.save_pretrained(folder)
    VideoMAEImageProcessor.from_pretrained(checkpoint).save_pretrained(folder)


if __name__ == "__main__":
    main()
