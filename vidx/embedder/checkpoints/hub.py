"""Fetch a checkpoint's files from the Hugging Face hub, or its local cache."""

from __future__ import annotations

import errno
from pathlib import Path

from huggingface_hub import (
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from vidx.errors import CheckpointError, ModelNotFound, VidxError

CONFIG_FILE = "config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
HUB_SECONDS = 10.0  # how long the hub may take to answer
# In order of preference.
WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")

WAYS_OUT = (
    "Take the small encoder that vidx brings (--model builtin:tiny), or name a checkpoint's folder "
    "(--model ./folder), or fill the hub's cache while online (hf download {repo_id}; HF_HOME says "
    "where it lies)."
)


def fetch(repo_id: str, revision: str | None, configs: tuple[str, ...], *, weights: bool) -> Path:
    """Find a hub repository's files in the cache, or download what is missing of them.

    `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN` and `HF_ENDPOINT` are honoured. What the cache holds is
    taken without asking the hub whether there is something newer.

    Args:
        repo_id: Such as `MCG-NJU/videomae-base-finetuned-kinetics`.
        revision: Branch, tag or commit; None is the main branch.
        configs: The JSON files that are wanted, one at least.
        weights: Whether the weights are wanted too.

    Returns:
        The folder that holds the files; its name is the commit.

    Raises:
        ModelNotFound: Nothing of that name is cached, and the hub gives nothing.
        CheckpointError: The repository is there, but holds no checkpoint in the hub's layout.
    """
    try:
        snapshot = _cached_or_downloaded(repo_id, configs[0], revision).parent
        for name in configs[1:]:
            # The commit, not the branch, so that all files are of one version.
            _cached_or_downloaded(repo_id, name, snapshot.name)
        if weights and not any((snapshot / name).exists() for name in WEIGHTS_FILES):
            _download_weights(repo_id, snapshot.name)
    except Exception as error:
        # Any: the client lets errors of its HTTP library through, and its versions differ in that.
        raise _translated(error, repo_id, revision) from error
    return snapshot


def is_cached(repo_id: str, revision: str | None, configs: tuple[str, ...]) -> bool:
    """Whether `fetch` would ask no network for these files and the weights."""

    def has(name: str) -> bool:
        try:
            return isinstance(try_to_load_from_cache(repo_id, name, revision=revision), str)
        except HFValidationError:  # no hub id: for `fetch` to tell
            return False

    return all(map(has, configs)) and any(map(has, WEIGHTS_FILES))


def _cached_or_downloaded(repo_id: str, filename: str, revision: str | None) -> Path:
    # Not hf_hub_download(local_files_only=True): that still asks the hub about other things.
    cached = try_to_load_from_cache(repo_id, filename, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    # Asked once beforehand: the download itself tries an unreachable hub for half a minute.
    get_hf_file_metadata(hf_hub_url(repo_id, filename, revision=revision), timeout=HUB_SECONDS)
    return Path(hf_hub_download(repo_id, filename, revision=revision))


def _download_weights(repo_id: str, commit: str) -> None:
    preferred, other = WEIGHTS_FILES
    try:
        hf_hub_download(repo_id, preferred, revision=commit)
    except LocalEntryNotFoundError:
        raise  # not reachable: another name would not be either
    except EntryNotFoundError:
        hf_hub_download(repo_id, other, revision=commit)


def _translated(error: Exception, repo_id: str, revision: str | None) -> VidxError:
    """The hub client's error as ours; the more special ones come first."""
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return CheckpointError(
            f"{repo_id!r} on the hub is no checkpoint in the hub's layout: "
            f"it needs {CONFIG_FILE}, {PREPROCESSOR_FILE} and {' or '.join(WEIGHTS_FILES)}",
            "Name a VideoMAE checkpoint.",
        )
    return ModelNotFound(_why(error, repo_id, revision), WAYS_OUT.format(repo_id=repo_id))


def _why(error: Exception, repo_id: str, revision: str | None) -> str:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if isinstance(error, HFValidationError):
        return f"{repo_id!r} is neither a folder nor a hub id such as organisation/name"
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id!r} on the hub has no revision {revision!r}"
    if isinstance(error, GatedRepoError) or status == 403:
        return f"the hub denies access to {repo_id!r}: ask for it there, then set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return f"{repo_id!r} is not on the hub, or it is private and HF_TOKEN does not open it"
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return f"no space is left to download {repo_id!r} to: {cause.filename or 'the hub cache'}"
    if isinstance(cause, OfflineModeIsEnabled):
        return f"{repo_id!r} is not in the hub's cache, and HF_HUB_OFFLINE forbids to download it"
    said = str(cause).partition("\n")[0]
    return f"{repo_id!r} is not in the hub's cache and cannot be had from {ENDPOINT}: {said}"
