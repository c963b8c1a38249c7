"""`vidx index`, and what other commands tell of the index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_collections import commit, draw_video

from vidx.store.layout import Layout

KEYS = [
    "kind", "parameters", "clips", "target_recall", "recall_at_1", "recall_at_10",
    "recall_at_100", "p50_ms", "p99_ms", "bytes_per_vector", "build_seconds", "copy",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    layout = Layout(tmp_path / "collection")
    commit(layout, *(draw_video(f"v{number}", 6) for number in range(60)))
    return layout.root


def test_it_prints_one_documented_object(vidx, folder) -> None:
    code, out, err = vidx("index", "--collection", folder, "--kind", "ivf", "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert list(report) == KEYS
    assert list(report["copy"]) == KEYS
    assert (report["kind"], report["clips"]) == ("ivf", 360)
    _, out, _ = vidx("info", "--collection", folder, "--json")
    assert json.loads(out)["index"] == report


def test_it_shows_what_was_made_and_check_shows_what_is(vidx, folder) -> None:
    arguments = ("--collection", folder)
    code, out, err = vidx("index", *arguments, "--kind", "ivf", "--target-recall", "0.9")
    assert code == 0
    assert "recall at 10" in out
    assert "tuning" in err  # plain lines of progress
    code, out, err = vidx("index", *arguments, "--check")
    assert (code, err) == (0, "")
    assert "ivf" in out
    assert vidx("index", *arguments, "--quiet")[1:] == ("", "")
    assert "exact, 360 vectors" in vidx("info", *arguments)[1]


def test_parts_are_made_as_asked_and_told(vidx, folder) -> None:
    arguments = ("--collection", folder)
    code, out, _ = vidx("index", *arguments, "--kind", "ivf", "--parts", "2")
    assert code == 0
    assert "num parts" in out
    _, out, _ = vidx("index", *arguments, "--check", "--json")
    assert json.loads(out)["parameters"]["num_parts"] == 2
    assert "360 vectors in 2 parts" in vidx("info", *arguments)[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--max-memory", "lots"), "write 500M or 2G"),
        (("--max-memory", "1k", "--kind", "ivf"), "more than the 0.001 MB allowed"),
        (("--target-recall", "1.5"), "1.5"),
        (("--parts", "0"), "0"),
        (("--parts", "4", "--kind", "ivf"), "num_parts=4"),
        (("--check", "--parts", "2"), "takes no wishes"),
        (("--target-recall", "1", "--kind", "ivf"), "never surely all"),
        (("--kind", "hnsw"), "hnsw"),
        (("--check", "--kind", "ivf"), "takes no wishes"),
        (("--check", "--target-recall", "0.95"), "takes no wishes"),
    ],
)
def test_what_cannot_be_had_is_wrong_usage(vidx, folder, wrong, message) -> None:
    code, out, err = vidx("index", "--collection", folder, *wrong)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("text", "size"), [("500M", 5e8), ("2G", 2e9), ("1.5gb", 1.5e9), ("64 k", 64e3), ("12", 12)]
)
def test_sizes_are_written_as_people_write_them(text: str, size: float) -> None:
    from vidx.cli.index import Size

    assert Size().convert(text, None, None) == size


def test_codes_of_a_few_clips_are_refused_and_an_exact_index_is_timed(vidx, tmp_path) -> None:
    layout = Layout(tmp_path / "small")
    commit(layout, draw_video("a", 6))
    code, _, err = vidx("index", "--collection", layout.root, "--kind", "ivf")
    assert (code, "100 clips or more, and there are 6" in err) == (2, True)
    code, out, _ = vidx("index", "--collection", layout.root, "--json")
    report = json.loads(out)
    assert (code, report["kind"]) == (0, "exact")
    assert 0 < report["copy"]["p50_ms"] <= report["copy"]["p99_ms"]


def test_a_damaged_index_warns_once_and_searches_go_on(vidx, folder, caplog) -> None:
    vidx("index", "--collection", folder, "--kind", "ivf", "--json")
    before = vidx("search", "5", "--collection", folder, "--json", "-k", "3")
    for path in (folder / "index").glob("*.faiss"):
        path.write_bytes(b"no index" * 100)
    code, out, _ = vidx("search", "5", "--collection", folder, "--json", "-k", "3")
    assert (code, out) == (0, before[1])
    assert caplog.text.count("`vidx index` makes them anew") == 1
    vidx("index", "--collection", folder, "--kind", "ivf", "--json")
    assert vidx("search", "5", "--collection", folder, "--json", "-k", "3") == before


def test_copies_are_searched_for_on_request(vidx, folder) -> None:
    code, out, _ = vidx("search", "5", "--copies", "--collection", folder, "--json", "-k", "3")
    assert code == 0
    assert [hit["likeness"] for hit in json.loads(out)] == ["copy"] * 3
    assert json.loads(out)[0]["clip_id"] == 5


def test_push_puts_a_database_in_step_and_search_asks_it(vidx, folder, tmp_path) -> None:
    pytest.importorskip("pymilvus")
    address, arguments = f"milvus://{tmp_path}/a.db", ("--collection", folder)
    code, out, err = vidx("index", "push", address, *arguments, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "address": address,
        "num_clips": 360,
        "num_put": 360,
        "num_removed": 0,
    }
    code, out, _ = vidx("index", "push", address, *arguments)
    assert f"360 clips in {address}: 0 put in, 0 taken out." in out
    asked = ("search", "7", *arguments, "--json")
    code, out, err = vidx(*asked, "--via", address)
    assert (code, err) == (0, "")
    found, own = json.loads(out), json.loads(vidx(*asked)[1])
    assert [hit["clip_id"] for hit in found] == [hit["clip_id"] for hit in own]
    assert found[0]["path"] == own[0]["path"]
    assert vidx(*asked, "--via", address, "--copies")[0] == 2
    assert vidx("index", "--parts", "2", "push", address)[0] == 2
    assert vidx("index", "push", "milvus://127.0.0.1:1/clips", *arguments)[0] == 4
