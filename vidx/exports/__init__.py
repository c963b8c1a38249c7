"""The clips of a selection as a folder that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vidx.errors import UsageError, VidxError
from vidx.exports.cuts import write_cuts
from vidx.exports.fiftyone import write_fiftyone
from vidx.exports.files import write_files
from vidx.exports.folder import new_folder
from vidx.exports.material import Material
from vidx.exports.webdataset import write_webdataset
from vidx.records import ExportReport
from vidx.store.catalogue import Catalogue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS: dict[str, Callable[[Path, Material], None]] = {
    "files": write_files,
    "webdataset": write_webdataset,
    "cuts": write_cuts,
    "fiftyone": write_fiftyone,
}


def export_folder(
    catalogue: Catalogue, ids: NDArray[np.int64], path: Path, kind: str
) -> ExportReport:
    """Write some clips to a folder; see `Selection.export_folder`.

    Args:
        catalogue: The collection's, of one state.
        ids: Of living clips, int64 (n,), ascending.
        path: The folder, empty or not there yet.
        kind: One of `FORMATS`.

    Raises:
        UsageError: There is no such format, or the folder is not empty.
        VidxError: There are no clips, none could be had, or the disk is full: nothing is left.
    """
    if kind not in FORMATS:
        raise UsageError(
            f"{kind!r} is no format of a folder", f"Choose one of: {', '.join(FORMATS)}."
        )
    if not len(ids):
        raise VidxError("no clip is selected: there is nothing to export", "Select some.")
    material = Material(catalogue, ids)
    with new_folder(path) as folder, material:
        FORMATS[kind](folder, material)
        if not material.num_clips:
            first = material.skipped[0]
            raise VidxError(
                f"none of {len(ids)} clips can be exported; the first file is {first.path}: "
                f"{first.problem.message}",
                "`vidx embed` finds files that were moved or have changed.",
            )
    return ExportReport(
        path=str(path),
        format=kind,
        num_clips=material.num_clips,
        num_copied=material.num_copied,
        num_skipped=len(ids) - material.num_clips,
        skipped=tuple(material.skipped),
    )
