"""A training run's folder: its last state, its log and what it has given so far.

run/
  state.pt       weights, running mean, optimisers, step and time; replaced whole
  log.jsonl      one line of losses a step, in order, and lines of how good the encoder is
  model/         the encoder so far, a checkpoint in the hub's layout
  lock           held while a process trains; made before all else, so that it marks a begun run

Names ending in .partial or .tmp are being written.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from vidx.durable import UNFINISHED, replacing
from vidx.errors import CheckpointError, UsageError, VidxError

STATE_FILE = "state.pt"
LOG_FILE = "log.jsonl"
LOCK_FILE = "lock"
MODEL_FOLDER = "model"
PARTIAL = ".partial"

OWN_NAMES = {STATE_FILE, LOG_FILE, LOCK_FILE, MODEL_FOLDER}
STATE_KEYS = {"recipe", "stage", "step", "course", "module", "mean", "optimizers"}


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run is kept, and what it was begun with.

    Attributes:
        folder: Of this run alone.
        recipe: What decides its outcome; a state of another recipe is refused.
    """

    folder: Path
    recipe: Mapping[str, Any]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder, which is made when it is not there.

        Raises:
            UsageError: The folder holds something else.
            VidxError: Another process trains there, or the folder cannot be written to.
        """
        self._check_own()
        lock = FileLock(self.folder / LOCK_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise VidxError(
                f"another process is training in {self.folder}", "Wait until it has ended."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def load(self) -> dict[str, Any] | None:
        """The last state, or None when there is none yet.

        Raises:
            CheckpointError: The state is of another recipe, or cannot be read.
            UsageError: The folder holds something else.
        """
        self._check_own()
        path = self.folder / STATE_FILE
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            if set(state) != STATE_KEYS:
                raise ValueError(f"it holds {sorted(state)}")
            begun = dict(state["recipe"])
        except (
            OSError,
            RuntimeError,
            EOFError,
            ValueError,
            pickle.PickleError,
            TypeError,
        ) as error:
            raise CheckpointError(
                f"{path} is no state of a training run: {error}", "Begin anew in another folder."
            ) from error
        self._check_same(begun)
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state; a reader or a crash sees the old one or the new one.

        Raises:
            VidxError: The folder cannot be written to; the old state stays.
        """
        try:
            # By way of memory: torch tells of a full disk in its own words.
            whole = io.BytesIO()
            torch.save({"recipe": dict(self.recipe), **state}, whole)
            with replacing(self.folder / STATE_FILE) as file:
                file.write(whole.getbuffer())
        except OSError as error:
            raise self._unwritable(error) from error

    def save_model(self, write: Callable[[Path], None]) -> None:
        """Replace the model's files, each whole.

        Args:
            write: Writes a checkpoint into a folder.

        Raises:
            VidxError: The folder cannot be written to; the old model stays.
        """
        target = self.folder / MODEL_FOLDER
        partial = target.with_suffix(PARTIAL)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            write(partial)
            target.mkdir(exist_ok=True)
            for file in partial.iterdir():
                file.replace(target / file.name)
            partial.rmdir()
        except (OSError, UsageError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise self._unwritable(error) from error

    def begin_log(self, steps: int) -> None:
        """Cut the log back to the steps before a state, so that none is there twice."""
        path = self.folder / LOG_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = "".join(line + "\n" for line in lines if _step_of(line) < steps)
        try:
            with replacing(path) as file:
                file.write(kept.encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def log(self, entry: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        try:
            with (self.folder / LOG_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error

    def _check_own(self) -> None:
        """Make the folder, and refuse one that holds something else."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            is_begun = self._is_begun()
            others = sorted(
                entry.name for entry in self.folder.iterdir() if not (is_begun and _is_own(entry))
            )
        except OSError as error:
            raise self._unwritable(error) from error
        if others:
            raise UsageError(
                f"{self.folder} holds {others[0]!r}, which is none of a training run's",
                "Name a new folder, or that of a run that was begun.",
            )

    def _is_begun(self) -> bool:
        """Whether a run was begun here: what is no run may have a log and a model, too."""
        lock = self.folder / LOCK_FILE
        is_ours = lock.is_file() and lock.stat().st_size == 0
        return is_ours or (self.folder / STATE_FILE).is_file()

    def _check_same(self, begun: Mapping[str, Any]) -> None:
        differing = [
            f"{name} was {begun.get(name)}, now {self.recipe.get(name)}"
            for name in sorted({*begun, *self.recipe})
            if begun.get(name) != self.recipe.get(name)
        ]
        if differing:
            raise CheckpointError(
                f"{self.folder} was begun with another recipe: {'; '.join(differing)}",
                "Go on with that recipe, or begin anew in another folder.",
            )

    def _unwritable(self, error: Exception) -> VidxError:
        cause = error if isinstance(error, OSError) else error.__cause__ or error
        problem = getattr(cause, "strerror", None) or str(cause).partition("\n")[0]
        return VidxError(
            f"{self.folder} cannot be written to: {problem}",
            "Make room or name another folder; the same command goes on from the last state.",
        )


def _is_own(entry: Path) -> bool:
    """Whether it is what a run has under this name."""
    if entry.suffix in (PARTIAL, UNFINISHED):
        return True
    return entry.name in OWN_NAMES and entry.is_dir() == (entry.name == MODEL_FOLDER)


def _step_of(line: str) -> float:
    """The step that a line of the log tells of; a torn line is of none."""
    try:
        step: int = json.loads(line)["step"]
    except (ValueError, LookupError, TypeError):
        return float("inf")
    return step
