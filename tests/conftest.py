"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
pytest_plugins = [
    "browsers",
    "clusters",
    "databases",
    "made_checkpoints",
    "made_servers",
    "made_videos",
    "no_skips",
]


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's caches, and none reaches a network."""
    os.environ["VIDX_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.pop("VIDX_COLLECTION", None)


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> None:
    import torch

    torch.set_num_threads(2)


@pytest.fixture(scope="session", autouse=True)
def float32_by_default(own_environment: None) -> None:
    """Tests give the same on every CPU: bfloat16 is remembered to be slow, in processes too."""
    from vidx.cache import remember
    from vidx.embedder.inference import precision

    remember(precision.CACHE_FILE, precision.cache_key(), 0.0)


@pytest.fixture(scope="session")
def media() -> Path:
    """Real videos with a manifest, where they are at hand."""
    folder = Path(os.environ.get("VIDX_TEST_MEDIA", HERE.parent / "../shared/media")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no media in {folder}: set VIDX_TEST_MEDIA to a folder of real videos")
    return folder


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The repository's root, for tests of what is not in the wheel."""
    root = HERE.parent
    if not (root / "pyproject.toml").exists():
        pytest.skip("not in a checkout")
    return root


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A folder of five short videos and a broken one; never write to it."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "sub").mkdir()
    make_video(folder / "bowl.mp4", seed=1, seconds=5.0)
    make_video(folder / "Dance.MKV", seed=2, seconds=3.0, codec="mpeg4")
    make_video(folder / "sub/bowl.mp4", seed=3, seconds=1.0)
    make_video(folder / 'sub/it\'s "a" näme\n.avi', seed=4, seconds=2.5, codec="mjpeg")
    shutil.copy(folder / "bowl.mp4", folder / "sub/copy of bowl.mp4")
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    (folder / "notes.txt").write_text("not a video, and not named like one")
    return folder


@pytest.fixture(scope="session")
def embedded_once(
    tmp_path_factory: pytest.TempPathFactory, library: Path, tiny_checkpoint: Path
) -> Path:
    """The collection of `library`; never write to it."""
    import vidx

    folder = tmp_path_factory.mktemp("embedded") / "collection"
    vidx.open(folder, create=True).embed(
        library, vidx.EmbedOptions(model=tiny_checkpoint, workers=1)
    )
    return folder


@pytest.fixture
def embedded(tmp_path: Path, embedded_once: Path) -> Path:
    """A copy of the collection of `library`, to do with as one likes."""
    return shutil.copytree(embedded_once, tmp_path / "collection")


@pytest.fixture(scope="session")
def benchmark(checkout: Path) -> Callable[[str], ModuleType]:
    """A function that imports a module of benchmarks/."""

    def load(name: str) -> ModuleType:
        path = checkout / "benchmarks" / f"{name}.py"
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(path.parent)
            # pytest calls a folder of tests by its name alone: tests/gpu is `gpu` there.
            if getattr(sys.modules.get(name), "__file__", None) != str(path):
                patch.delitem(sys.modules, name, raising=False)
            return import_module(name)

    return load
