"""The engines of benchmarks/search.py, with one way of use: build, find settings, ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
from drawn_collections import fill, labelled, memory_mb
from drawn_vectors import BLOCK_CLIPS, CLIPS_A_VIDEO, Vectors, recalls
from numpy.typing import NDArray
from search_asking import K, Questions, Rows, Setting, cheapest, one_by_one

import vidx

Result = dict[str, Any]

MEMORY = {"VmRSS": "resident_mb", "RssAnon": "anonymous_mb"}
DOUBLED = tuple(2**power for power in range(13))


class Engine:
    """One library: an index of vectors, and settings of a search.

    Args:
        folder: An empty one, for what lies on disk.
    """

    module = "faiss"  # imported before memory is looked at

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library: Any = import_module(self.module)
        self.before = memory_mb(*MEMORY)

    def memory(self) -> Result:
        """What the process has taken since then, by now."""
        now = memory_mb(*MEMORY)
        return {
            name: after - before
            for name, after, before in zip(MEMORY.values(), now, self.before, strict=True)
        }

    def build(self, vectors: Vectors) -> None:
        """Make the index of all vectors, shape (n, dim)."""
        raise NotImplementedError

    def num_bytes(self) -> int:
        """The index's size: its file, or what its file would be."""
        raise NotImplementedError

    def settings(self) -> list[list[Setting]]:
        """Rows of settings, each from the cheapest to what finds most."""
        raise NotImplementedError

    def use(self, setting: Setting) -> None:
        """Search so from now on."""
        raise NotImplementedError

    def ask(self, queries: Vectors) -> Rows:
        """The rows of the K nearest of each query, shape (m, K)."""
        raise NotImplementedError

    def ways(self) -> dict[str, Callable[[Vectors], Rows]]:
        """How it is asked, by what that is called."""
        return {"": self.ask}

    def choose(self, target: float, questions: Questions) -> Setting | None:
        """Take the cheapest setting that reaches a recall; None where none does."""
        setting = cheapest(self.settings(), partial(self._tried, questions), target)
        if setting is not None:
            self.use(setting)
        return setting

    def _tried(self, questions: Questions, setting: Setting) -> tuple[float, float]:
        self.use(setting)
        found, times = one_by_one(self.ask, questions.vectors)
        return float(np.mean(recalls(found, questions.true))), float(np.median(times))


class Faiss(Engine):
    """What both plain indexes of FAISS have."""

    def num_bytes(self) -> int:
        """What its file would be."""
        return written(self.index)

    def ask(self, queries: Vectors) -> Rows:
        """As it comes."""
        rows: Rows = self.index.search(queries, K)[1]
        return rows


class FaissHNSW(Faiss):
    """`IndexHNSWFlat` of 32 neighbours, else as it comes; of length 1, L2 ranks as cosines do."""

    def build(self, vectors: Vectors) -> None:
        """Add block by block."""
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], 32)
        for start in range(0, len(vectors), BLOCK_CLIPS):
            self.index.add(vectors[start : start + BLOCK_CLIPS])

    def settings(self) -> list[list[Setting]]:
        """`efSearch` doubled."""
        return [[{"efSearch": ef} for ef in DOUBLED if ef >= K]]

    def use(self, setting: Setting) -> None:
        """As FAISS has it."""
        self.index.hnsw.efSearch = setting["efSearch"]


class FaissIVF(Faiss):
    """`IndexIVFFlat` of four times the root of n lists, as FAISS's guidelines say."""

    def build(self, vectors: Vectors) -> None:
        """Train on all, of which FAISS takes a part, and add block by block."""
        dim, lists = vectors.shape[1], round(4 * len(vectors) ** 0.5)
        self.index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT
        )
        self.index.train(vectors)
        for start in range(0, len(vectors), BLOCK_CLIPS):
            self.index.add(vectors[start : start + BLOCK_CLIPS])

    def settings(self) -> list[list[Setting]]:
        """`nprobe` doubled."""
        return [[{"nprobe": probes} for probes in DOUBLED if probes <= self.index.nlist]]

    def use(self, setting: Setting) -> None:
        """As FAISS has it."""
        self.index.nprobe = setting["nprobe"]


class USearch(Engine):
    """usearch as it comes: 16 neighbours, half precision of its own choice."""

    module = "usearch.index"

    def build(self, vectors: Vectors) -> None:
        """Add block by block."""
        self.index = self.library.Index(ndim=vectors.shape[1], metric="ip")
        for start in range(0, len(vectors), BLOCK_CLIPS):
            block = np.asarray(vectors[start : start + BLOCK_CLIPS])
            self.index.add(np.arange(start, start + len(block)), block)

    def num_bytes(self) -> int:
        """What its file would be."""
        return int(self.index.serialized_length)

    def settings(self) -> list[list[Setting]]:
        """`expansion_search` doubled."""
        return [[{"expansion_search": ef} for ef in DOUBLED if ef >= K]]

    def use(self, setting: Setting) -> None:
        """As usearch has it."""
        self.index.expansion_search = setting["expansion_search"]

    def ask(self, queries: Vectors) -> Rows:
        """As it comes."""
        keys = self.index.search(queries, K).keys
        return np.asarray(keys, np.int64).reshape(len(queries), K)


class HNSWLib(Engine):
    """hnswlib as it comes: 16 neighbours, 200 looked at while building."""

    module = "hnswlib"

    def build(self, vectors: Vectors) -> None:
        """Add block by block."""
        self.index = self.library.Index("ip", vectors.shape[1])
        self.index.init_index(len(vectors))
        for start in range(0, len(vectors), BLOCK_CLIPS):
            block = vectors[start : start + BLOCK_CLIPS]
            self.index.add_items(block, np.arange(start, start + len(block)))

    def num_bytes(self) -> int:
        """What its file would be."""
        return int(self.index.index_file_size())

    def settings(self) -> list[list[Setting]]:
        """`ef` doubled."""
        return [[{"ef": ef} for ef in DOUBLED if ef >= K]]

    def use(self, setting: Setting) -> None:
        """As hnswlib has it."""
        self.index.set_ef(setting["ef"])

    def ask(self, queries: Vectors) -> Rows:
        """As it comes."""
        return self.index.knn_query(queries, K)[0].astype(np.int64)


class Lance(Engine):
    """LanceDB with its default index, product quantisation in inverted lists, on disk."""

    module = "lancedb"

    def build(self, vectors: Vectors) -> None:
        """Write the table block by block, and index it."""
        dim = vectors.shape[1]
        schema = pa.schema({"id": pa.int64(), "vector": pa.list_(pa.float32(), dim)})

        def batches() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(vectors), BLOCK_CLIPS):
                block = np.asarray(vectors[start : start + BLOCK_CLIPS])
                flat = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), dim)
                ids = pa.array(np.arange(start, start + len(block)))
                yield pa.RecordBatch.from_arrays([ids, flat], schema=schema)

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        self.table = self.library.connect(str(self.folder)).create_table("clips", reader)
        self.table.create_index(metric="dot")

    def num_bytes(self) -> int:
        """The index's files, without the vectors."""
        return size_of(self.folder, "**/_indices/**/*")

    def settings(self) -> list[list[Setting]]:
        """`nprobes` doubled, for each of some `refine_factor`."""
        return [
            [{"nprobes": probes, "refine_factor": refine} for probes in DOUBLED[:11]]
            for refine in (256, 64, 16, 4, 1)  # the first ones reach a target soon
        ]

    def use(self, setting: Setting) -> None:
        """As LanceDB has it."""
        self.setting = setting

    def ask(self, queries: Vectors) -> Rows:
        """Ids alone, one query after another: LanceDB answers many at once in no other way."""
        return np.stack([self._one(query) for query in queries])

    def _one(self, query: NDArray[np.float32]) -> Rows:
        asked = self.table.search(query).distance_type("dot").select(["id", "_distance"]).limit(K)
        probes, refine = self.setting["nprobes"], self.setting["refine_factor"]
        found = asked.nprobes(probes).refine_factor(refine).to_arrow()["id"].to_numpy()
        return np.pad(found, (0, K - len(found)), constant_values=-1)


class Ours(Engine):
    """A collection as `vidx embed` and `vidx index` make it, and its index alone."""

    module = "vidx.retrieval"  # with what a search needs

    def build(self, vectors: Vectors) -> None:
        """Commit all, as many clips at a time as `vidx embed`, and index."""
        dim = vectors.shape[1]
        parts = (vectors[at : at + BLOCK_CLIPS] for at in range(0, len(vectors), BLOCK_CLIPS))
        filled = fill(self.folder, labelled(parts, 0, CLIPS_A_VIDEO), dim)
        self.filling_seconds = len(vectors) / filled["commit_clips_per_second"]
        self.collection = vidx.open(self.folder)
        self.collection.index()

    def num_bytes(self) -> int:
        """The codes that find candidates among vectors as they are, which are mapped beside."""
        return size_of(self.folder, "**/index/similar-*.faiss")

    def choose(self, target: float, questions: Questions) -> Setting | None:  # noqa: ARG002
        """Ask the collection for it: it chooses by queries of its own."""
        report = self.collection.index(vidx.IndexOptions(target_recall=target))
        with self.collection._views.now() as (_, self.view):
            pass  # the view stays what it is
        return {"kind": report.kind, **report.parameters}

    def ways(self) -> dict[str, Callable[[Vectors], Rows]]:
        """Hits with all that is known of them, and rows of the index as the others give them."""
        return {"": self.ask, "index alone": self._ask_index}

    def ask(self, queries: Vectors) -> Rows:
        """One query after another: `search_by_vector` gives one list for all that it is asked."""
        found = [self.collection.search_by_vector(query, k=K) for query in queries]
        return np.array([[hit.clip_id for hit in hits] for hits in found])

    def _ask_index(self, queries: Vectors) -> Rows:
        return self.view.index.search(queries, K, self.view.live)[1]


ENGINES: dict[str, type[Engine]] = {
    "vidx": Ours,
    "faiss HNSW32": FaissHNSW,
    "faiss IVF-Flat": FaissIVF,
    "usearch": USearch,
    "hnswlib": HNSWLib,
    "lancedb": Lance,
}


def written(index: Any) -> int:
    """The bytes of a FAISS index's file, without writing it."""
    sizes = []
    writer = faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part)))
    faiss.write_index(index, writer)
    return sum(sizes)


def size_of(folder: Path, pattern: str) -> int:
    """The bytes of some files."""
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())
