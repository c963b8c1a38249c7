"""`map`: where clips lie beside each other, in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part
from vidx.curation.projections import principal
from vidx.errors import UsageError
from vidx.store.told import clips_told

if TYPE_CHECKING:
    import pyarrow as pa

UMAP_NEIGHBOURS = 15  # its own default
LEAST_FOR_UMAP = 4  # clips: of fewer it can make no graph


def map_of(part: Part, method: str, seed: int) -> pa.Table:
    """Coordinates of clips, as `Reviews.map` says.

    Raises:
        UsageError: There is no such method, its library is missing, or the clips are too few.
    """
    x, y = placed(part, method, seed).T
    return clips_told(part.catalogue, part.clip_ids, {}, {"x": x, "y": y})


def placed(part: Part, method: str, seed: int) -> NDArray[np.float64]:
    """The same as numbers alone, shape (n, 2)."""
    if method not in METHODS:
        raise UsageError(f"method={method!r}: there is none, but {', '.join(METHODS)}.")
    if seed < 0:
        raise UsageError(f"seed={seed}: 0 is the least.")
    return METHODS[method](part, seed)


def _pca(part: Part, _seed: int) -> NDArray[np.float64]:
    return principal(lambda places: part.vectors(places, "similar"), len(part))


def _umap(part: Part, seed: int) -> NDArray[np.float64]:
    if len(part) < LEAST_FOR_UMAP:
        raise UsageError(
            f"method='umap' takes {LEAST_FOR_UMAP} clips or more: {len(part)} are here."
        )
    try:
        import umap
    except ImportError as error:
        raise UsageError(
            "method='umap' needs the library umap-learn, which is not installed",
            "Install it with: pip install 'vidx[umap]', or take method='pca'.",
        ) from error
    made = umap.UMAP(
        n_neighbors=min(UMAP_NEIGHBOURS, len(part) - 1),
        init="spectral" if len(part) > UMAP_NEIGHBOURS else "random",
        metric="cosine",
        random_state=seed,
        n_jobs=1,  # more of them give another answer each time
    )
    everything = part.vectors(np.arange(len(part)), "similar")
    return np.asarray(made.fit_transform(everything), np.float64)


METHODS = {"pca": _pca, "umap": _umap}
