"""What the commands print and how they end, with a real collection behind them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_collections import commit, draw_video
from stored_clips import stored_clips

from vidx.records import Problem
from vidx.store.layout import Layout

EMBED_KEYS = [
    "num_files", "embedded", "partial", "unchanged", "duplicate", "moved", "failed",
    "failed_before", "num_passed_over", "gone", "num_clips", "seconds", "clips_per_second",
    "video_seconds", "video_hours_per_hour", "busy", "bottleneck",
    "collection", "commit", "removal", "num_values", "num_without_preview", "refused_rows",
    "dry_run",
]  # fmt: skip
HIT_KEYS = [
    "rank", "clip_id", "video_id", "score", "path", "locations", "start_seconds", "end_seconds",
    "query_start_seconds", "query_end_seconds", "labels", "likeness",
    "query_problem", "background_share",
]  # fmt: skip


def test_embed_reports_counts_that_add_up(vidx, library, tiny_checkpoint, tmp_path) -> None:
    where = ("--collection", tmp_path / "new")
    code, out, _ = vidx("embed", library, "--model", tiny_checkpoint, *where, "--json")
    report = json.loads(out)
    assert code == 3
    assert list(report) == EMBED_KEYS
    assert sum(report[key] for key in EMBED_KEYS[1:8]) == report["num_files"] == 6
    assert (report["embedded"], report["duplicate"], report["failed"]) == (4, 1, 1)

    code, out, _ = vidx("embed", library, *where, "--json")
    again = json.loads(out)
    assert code == 3
    assert (again["unchanged"], again["failed_before"], again["num_clips"]) == (5, 1, 0)
    assert (report["commit"], again["commit"]) == (1, None)

    code, out, _ = vidx("embed", library, *where, "--json", "--retry-failed")
    assert json.loads(out)["failed"] == 1


def test_search_prints_documented_objects(vidx, embedded, library) -> None:
    query = library / "bowl.mp4"
    code, out, _ = vidx("search", query, "--collection", embedded, "--json", "-k", 3)
    hits = json.loads(out)
    assert code == 0
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert all(list(hit) == HIT_KEYS for hit in hits)
    assert hits[0]["path"] == str(query)
    assert hits[0]["locations"] == [str(query), str(library / "sub/copy of bowl.mp4")]
    assert hits[0]["score"] >= 0.999
    assert len(hits[0]["labels"]) == 5
    assert list(hits[0]["labels"][0]) == ["name", "score"]
    assert hits[0]["query_problem"] is None


@pytest.mark.long
def test_a_damaged_query_is_told_on_standard_error_and_in_each_hit(
    embedded, make_video, cut_short, tmp_path
) -> None:
    query = cut_short(make_video(tmp_path / "cut in\ntwo.mkv", seed=1, seconds=10.0))
    command = [sys.executable, "-m", "vidx", "search", query, "--collection", embedded, "--json"]

    def run(*options: str) -> tuple[list[dict[str, Any]], str]:
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
        return json.loads(done.stdout), done.stderr

    hits, err = run("-k", "3")
    assert len(hits) == 3
    problem = hits[0]["query_problem"]
    assert list(problem) == ["reason", "message"]
    assert problem["reason"] == "truncated"
    assert problem["message"].endswith(" of 10.000 s are there")
    assert all(hit["query_problem"] == problem for hit in hits)
    told = f"is damaged and was searched for in part: truncated: {problem['message']}.\n"
    assert err == f"{str(query)!r} {told}"
    assert run("--path", "nowhere") == ([], err)


def test_hits_are_wanted_with_k_and_a_limit_is_of_lists_alone(vidx, embedded) -> None:
    where = ("--collection", embedded, "--json")
    short, long = (vidx("search", "0", *where, option, 2)[1] for option in ("-k", "--top-k"))
    assert len(json.loads(short)) == 2
    assert short == long
    code, _, err = vidx("search", "0", *where, "--limit", 2)
    assert code == 2
    assert "No such option" in err
    for command in ("videos", "failures", "commits"):
        everything = json.loads(vidx(command, *where)[1])
        assert json.loads(vidx(command, *where, "--limit", 1)[1]) == everything[:1]


def test_a_verbose_search_tells_its_stages_and_compiles_nothing(embedded, library) -> None:
    code = (
        "import sys; from vidx.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('torch._inductor' in sys.modules, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "search", library / "bowl.mp4", "-v"]
    command += ["--collection", embedded, "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nFalse True\n")
    stages = [line.split(" s  ") for line in done.stderr.splitlines()]
    assert [name for _, name in stages] == [
        "start Python's libraries",
        "open catalogue and index",
        "load the model",
        "decode and embed the query",
        "search the index",
    ]
    assert all(float(seconds) >= 0 for seconds, _ in stages)


def test_embed_shares_the_work_between_the_devices_that_are_named(
    vidx, embedded, library, tiny_checkpoint, tmp_path
) -> None:
    where = ("--collection", tmp_path / "new")
    options = ("--model", tiny_checkpoint, "--device", "cpu,cpu", "--batch-size", 1)
    code, _, _ = vidx("embed", library, *where, *options)
    assert code == 3
    one, two = stored_clips(embedded), stored_clips(where[1])
    assert one.keys() == two.keys()
    assert len(one) > 5
    assert all(np.allclose(one[key].vector, two[key].vector, atol=1e-4) for key in one)


def test_a_number_is_a_clip_id(vidx, embedded) -> None:
    code, out, _ = vidx("search", "0", "--collection", embedded, "--json", "-k", 1)
    assert code == 0
    assert json.loads(out)[0]["clip_id"] == 0
    code, _, err = vidx("search", "999", "--collection", embedded)
    assert code == 2
    assert "no clip 999" in err


def test_tables_for_people_name_every_hit_and_escape_control_characters(vidx, embedded) -> None:
    code, out, _ = vidx("search", "0", "--collection", embedded, "-k", 50)
    assert code == 0
    assert "bowl.mp4" in out
    assert "näme\\n.avi" in out


@pytest.mark.parametrize("command", ["info", "videos", "failures", "commits", "verify"])
def test_every_reporting_command_speaks_json_and_text(vidx, embedded, command) -> None:
    code, out, _ = vidx(command, "--collection", embedded, "--json")
    assert code == 0
    assert json.loads(out)
    code, out, _ = vidx(command, "--collection", embedded)
    assert code == 0
    assert out


def test_info_tells_with_what_the_clips_were_made(vidx, embedded, tiny_checkpoint) -> None:
    found = json.loads(vidx("info", "--collection", embedded, "--json")[1])
    [origin] = found["origins"]
    assert list(origin) == ["provenance", "num_shards", "num_clips"]
    assert (origin["num_shards"], origin["num_clips"]) == (
        found["num_shards"],
        found["num_clips"],
    )
    told = origin["provenance"]
    assert (told["model"], told["device"], told["dtype"]) == (
        str(tiny_checkpoint),
        "cpu",
        "float32",
    )
    assert {"revision", "torch", "vidx"} <= told.keys()
    text = " ".join(vidx("info", "--collection", embedded)[1].split())
    assert f"made with {tiny_checkpoint}, cpu, float32, torch {told['torch']}, vidx" in text
    assert f": {found['num_clips']} clips in 1 shard" in text


def test_failures_lists_the_reason(vidx, embedded, library) -> None:
    _, out, _ = vidx("failures", "--collection", embedded, "--json")
    [failure] = json.loads(out)
    assert list(failure) == ["path", "reason", "message", "attempts", "last_attempt"]
    assert failure["path"] == str(library / "broken.mp4")
    assert failure["reason"] == "not_a_video"
    assert failure["attempts"] == 1
    assert datetime.fromisoformat(failure["last_attempt"]).utcoffset() == timedelta(0)


def test_failures_tells_how_often_a_file_was_tried(vidx, embedded, library) -> None:
    where = ("--collection", embedded)
    before = json.loads(vidx("failures", *where, "--json")[1])
    vidx("embed", library, *where, "--workers", 0)
    assert json.loads(vidx("failures", *where, "--json")[1]) == before, "it was not tried again"
    vidx("embed", library, *where, "--workers", 0, "--retry-failed")
    [failure] = json.loads(vidx("failures", *where, "--json")[1])
    assert failure["attempts"] == 2
    out = vidx("failures", *where)[1]
    assert re.search(rf"not_a_video +2 +{re.escape(failure['last_attempt'])} ", out)


def test_videos_tells_what_is_to_be_remarked_of_some(vidx, tmp_path) -> None:
    where = ("--collection", tmp_path / "new")
    layout = Layout(tmp_path / "new")
    notes = ('A "jump" of 5 s\nwas joined.', "Un second film suit: 映画")
    commit(layout, draw_video("plain"), draw_video("whole", notes=notes[:1]))
    assert vidx("videos", *where, "--remarks", "--limit", 9)[1].count("whole.mp4") == 1
    broken = Problem("decode_error", "2 of 5 clips damaged")
    commit(layout, draw_video("cut", notes=notes, problem=broken))

    code, out, _ = vidx("videos", *where, "--remarks")
    lines = [" ".join(line.split()) for line in out.splitlines() if ".mp4" in line]
    assert code == 0
    assert lines == [
        "decode_error /videos/cut.mp4 2 of 5 clips damaged",
        'note /videos/cut.mp4 A "jump" of 5 s\\nwas joined.',
        "note /videos/cut.mp4 Un second film suit: 映画",
        'note /videos/whole.mp4 A "jump" of 5 s\\nwas joined.',
    ]
    everything = json.loads(vidx("videos", *where, "--json")[1])
    told = json.loads(vidx("videos", *where, "--remarks", "--json")[1])
    assert told == [row for row in everything if not row["path"].endswith("plain.mp4")]
    assert [row["notes"] for row in told] == [list(notes), list(notes[:1])]
    assert [row["problem_message"] for row in told] == ["2 of 5 clips damaged", None]
    _, out, _ = vidx("videos", *where)
    states = [line.rstrip().split("  ")[-1].strip() for line in out.splitlines() if ".mp4" in line]
    assert states == ["decode_error, 2 notes", "whole", "whole, 1 note"]


def test_a_collection_without_remarks_says_so(vidx, embedded) -> None:
    where = ("--collection", embedded, "--remarks")
    assert vidx("videos", *where) == (0, "No remarks.\n", "")
    assert vidx("videos", *where, "--json") == (0, "[]\n", "")


def test_embed_says_where_to_read_what_is_missing_of_a_partial_video(
    vidx, make_video, tiny_checkpoint, tmp_path
) -> None:
    where = ("--collection", tmp_path / "new")
    video = make_video(tmp_path / "a.mkv", seconds=8.0)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 5 // 8])
    code, out, _ = vidx("embed", video, "--model", tiny_checkpoint, *where)
    assert code == 0
    assert "1 file: 1 partial\n" in out
    assert out.endswith("`vidx videos --remarks` says what is missing of a partial video.\n")
    assert "truncated" in vidx("videos", *where, "--remarks")[1]
    assert "--remarks" not in vidx("embed", video, *where)[1]
    assert "1 file: 1 partial\n" in vidx("embed", video, *where, "--retry-failed")[1]


def test_remove_takes_one_location_then_the_video(vidx, embedded, library) -> None:
    where = ("--collection", embedded, "--json")
    code, out, _ = vidx("remove", library / "bowl.mp4", *where)
    assert (code, json.loads(out)["num_videos"]) == (0, 0)
    code, out, _ = vidx("remove", library / "sub", *where)
    assert (code, json.loads(out)["num_videos"]) == (0, 3)
    _, out, _ = vidx("search", "--collection", embedded, "--json", library / "bowl.mp4")
    assert {hit["path"] for hit in json.loads(out)} == {str(library / "Dance.MKV")}
    assert vidx("verify", "--collection", embedded)[0] == 0
    code, _, err = vidx("remove", library / "bowl.mp4", *where)
    assert code == 2
    assert "not in the collection" in err


def test_restore_takes_a_removal_back_and_is_told_how(vidx, embedded, library) -> None:
    where = ("--collection", embedded)
    before = stored_clips(embedded)
    code, out, _ = vidx("remove", library / "sub", *where)
    assert code == 0
    assert out == (
        "Removed 3 paths, 2 videos.\n`vidx restore 2` brings them back, until `vidx compact`.\n"
    )
    assert vidx("restore", 2, *where) == (0, "3 files restored, 2 videos with them.\n", "")
    assert stored_clips(embedded).keys() == before.keys()

    removed = json.loads(vidx("remove", library / "sub", *where, "--json")[1])
    assert list(removed) == ["paths", "num_locations", "num_videos", "commit"]
    assert (len(removed["paths"]), removed["commit"]) == (3, 4)
    restored = json.loads(vidx("restore", 4, *where, "--json")[1])
    assert restored == {
        "restored": 4,
        "num_locations": 3,
        "num_videos": 2,
        "commit": 5,
    }
    assert vidx("remove", library / "sub", *where, "--quiet") == (0, "", "")
    assert vidx("restore", 6, *where, "--quiet") == (0, "", "")
    assert vidx("verify", *where)[0] == 0


def test_commits_lists_what_was_done_the_latest_first(vidx, embedded, library) -> None:
    where = ("--collection", embedded)
    vidx("remove", library / "sub", *where)
    vidx("restore", 2, *where)
    rows = json.loads(vidx("commits", *where, "--json")[1])
    assert all(list(row) == ["number", "time", "verb", "provenance"] for row in rows)
    told = [(row["number"], row["verb"]) for row in rows]
    assert told == [(3, "restore"), (2, "remove"), (1, "embed")]
    assert all(datetime.fromisoformat(row["time"]).tzinfo for row in rows)
    assert json.loads(rows[-1]["provenance"])["device"] == "cpu"
    code, out, _ = vidx("commits", *where)
    lines = [line.split() for line in out.splitlines() if line.strip()][-3:]
    assert code == 0
    assert [(int(number), verb) for number, _, verb in lines] == told


def test_compact_drops_what_was_removed_for_good(vidx, embedded, library) -> None:
    where = ("--collection", embedded)
    vidx("remove", library / "Dance.MKV", *where)
    before = json.loads(vidx("search", library / "bowl.mp4", *where, "--json", "-k", 50)[1])
    code, out, _ = vidx("compact", *where)
    assert (code, out) == (0, "2 clips dropped; 1 shard before, 1 now.\n")
    assert json.loads(vidx("search", library / "bowl.mp4", *where, "--json", "-k", 50)[1]) == before
    again = json.loads(vidx("compact", *where, "--json")[1])
    last = json.loads(vidx("commits", *where, "--json")[1])[0]
    assert last["verb"] == "compact"
    assert again == {
        "num_clips": 0,
        "num_shards_before": 1,
        "num_shards_after": 1,
        "commit": last["number"],
    }
    assert vidx("compact", *where, "--quiet") == (0, "", "")
    assert vidx("verify", *where)[0] == 0

    code, out, err = vidx("restore", 2, *where)
    assert (code, out) == (2, "")
    assert "commit 2 removed nothing that can be brought back" in err
    assert "compacted" in err


def test_export_writes_a_row_a_clip(vidx, embedded, tmp_path) -> None:
    code, out, _ = vidx("export", tmp_path / "out.parquet", "--collection", embedded, "--json")
    table = pq.read_table(tmp_path / "out.parquet")
    assert code == 0
    assert json.loads(out)["rows"] == table.num_rows > 0
    wanted = {"clip_id", "path", "start_seconds", "end_seconds", "embedding", "labels"}
    assert wanted <= set(table.column_names)
    assert [path.name for path in tmp_path.iterdir()] == ["collection", "out.parquet"]


def test_verify_that_found_something_has_finished_and_ends_with_3(vidx, embedded) -> None:
    where = ("--collection", embedded)
    assert vidx("verify", *where) == (0, "All agree.\n", "")
    (embedded / "catalogue.sqlite").unlink()
    code, out, _ = vidx("verify", *where)
    assert code == 3
    assert "catalogue.sqlite is missing" in out
    code, out, _ = vidx("verify", *where, "--json")
    assert (code, json.loads(out)["ok"]) == (3, False)
    assert vidx("verify", *where, "--quiet") == (3, "", "")
    assert vidx("verify", "--collection", "/nowhere")[0] == 4


def test_quiet_prints_nothing(vidx, library, tiny_checkpoint, tmp_path) -> None:
    where = ("--collection", tmp_path / "new")
    code, out, err = vidx("embed", library, "--model", tiny_checkpoint, *where, "--quiet")
    assert (code, out, err) == (3, "", "")


def test_dry_run_says_what_and_does_nothing(vidx, library, embedded, tmp_path) -> None:
    where = ("--collection", tmp_path / "new")
    code, out, _ = vidx("embed", library, *where, "--dry-run")
    assert code == 0
    assert out.endswith("\n5 embed, 1 twin\n")
    assert not (tmp_path / "new").exists()
    again = ("embed", library, "--collection", embedded, "--dry-run")
    assert vidx(*again)[0] == 3
    assert vidx(*again, "--fps", "3")[0] == 4
    assert vidx(*again, "--quiet")[1] == ""


def test_a_dry_run_and_a_run_print_one_shape(vidx, library, tiny_checkpoint, tmp_path) -> None:
    videos = shutil.copytree(library, tmp_path / "videos")
    command = ("embed", videos, "--collection", tmp_path / "new", "--json")
    planned = json.loads(vidx(*command, "--dry-run")[1])
    assert list(planned) == [*EMBED_KEYS, "findings", "estimate"]
    done = json.loads(vidx(*command, "--model", tiny_checkpoint)[1])
    assert list(done) == EMBED_KEYS
    assert (planned["dry_run"], done["dry_run"]) == (True, False)
    assert planned["collection"] == done["collection"] == str(tmp_path / "new")
    assert planned["num_clips"] == done["num_clips"]
    assert planned["clips_per_second"] is None, "the default model is not on this machine"
    # What is broken shows itself only when it is decoded.
    assert planned["embedded"] == done["embedded"] + done["failed"] == 5

    os.utime(videos / "sub/bowl.mp4")
    planned, done = (json.loads(vidx(*command, *extra)[1]) for extra in (["--dry-run"], []))
    statuses = sorted(finding["status"] for finding in planned["findings"])
    assert statuses == ["failed_before", "touched", *["unchanged"] * 4]
    counts = EMBED_KEYS[:8]
    assert {key: planned[key] for key in counts} == {key: done[key] for key in counts}
    assert sum(planned[key] for key in counts[1:]) == planned["num_files"] == 6


def test_files_that_are_gone_are_told_and_pruned(vidx, library, embedded, tmp_path) -> None:
    videos = shutil.copytree(library, tmp_path / "videos")
    command = ("embed", videos, "--collection", embedded, "--workers", 0)
    assert vidx(*command)[0] == 3
    (videos / "bowl.mp4").unlink()
    told = "\n1 file is no longer there; take it out with --prune.\n"
    code, out, _ = vidx(*command, "--dry-run")
    assert (code, out.endswith(f"\n1 failed_before, 4 unchanged{told}")) == (3, True)
    assert told in vidx(*command)[1]
    planned, done = (json.loads(vidx(*command, "--json", *more)[1]) for more in (["--dry-run"], []))
    assert (planned["gone"], done["gone"]) == (1, 1)
    assert planned["findings"][-1] == {"path": str(videos / "bowl.mp4"), "status": "gone"}
    assert sum(planned[key] for key in EMBED_KEYS[1:8]) == planned["num_files"] == 5

    code, out, _ = vidx(*command, "--prune")
    assert code == 3, "there is a failed file"
    [number] = re.findall(r"\nTook out 1 file no longer there.\n`vidx restore (\d+)` brings", out)
    assert "no longer there" not in vidx(*command, "--prune")[1]
    assert vidx("restore", number, "--collection", embedded)[0] == 0
    removed = json.loads(vidx(*command, "--prune", "--json")[1])
    assert (removed["gone"], removed["removal"]) == (1, removed["commit"])


def test_a_limit_and_prune_contradict_each_other(vidx, library, embedded) -> None:
    code, _, err = vidx("embed", library, "--collection", embedded, "--prune", "--limit", 1)
    assert (code, "cannot tell which are gone" in err) == (2, True)


@pytest.fixture
def phone(make_video, tmp_path) -> Path:
    """A folder of one video, three under other endings, and a text without one."""
    folder = tmp_path / "phone"
    folder.mkdir()
    for seed, name in enumerate(["a.mp4", "b.MP", "c.insv", "d"]):
        make_video(folder / name, seed=seed, seconds=1.0, format="mp4")
    (folder / "notes").write_text("no video")
    return folder


PASSED_OVER = (
    "Passed over 3 files that hold video under other endings (.MP, .insv, none); "
    "take them with --any.\n"
)


def test_videos_under_other_endings_are_told_and_taken_with_any(
    vidx, phone, tiny_checkpoint, tmp_path
) -> None:
    command = ("embed", phone, "--collection", tmp_path / "new", "--model", tiny_checkpoint)
    code, out, _ = vidx(*command)
    assert code == 0
    assert out.startswith("1 file: 1 embedded\n")
    assert out.endswith(PASSED_OVER)
    report = json.loads(vidx(*command, "--json")[1])
    assert (report["num_files"], report["unchanged"], report["num_passed_over"]) == (1, 1, 3)
    report = json.loads(vidx(*command, "--json", "--any")[1])
    assert (report["num_files"], report["embedded"], report["num_passed_over"]) == (4, 3, 0)
    assert "Passed over" not in vidx(*command, "--any")[1]
    videos = json.loads(vidx("videos", "--collection", tmp_path / "new", "--json")[1])
    assert [Path(row["path"]).name for row in videos] == ["a.mp4", "b.MP", "c.insv", "d"]


def test_a_dry_run_tells_what_is_passed_over_as_a_run_does(vidx, phone, tmp_path) -> None:
    command = ("embed", phone, "--collection", tmp_path / "new", "--dry-run")
    code, out, _ = vidx(*command)
    assert code == 0
    assert out.endswith(f"\n1 embed\n{PASSED_OVER}")
    planned = json.loads(vidx(*command, "--json")[1])
    assert list(planned) == [*EMBED_KEYS, "findings", "estimate"]
    assert (planned["num_files"], planned["embedded"], planned["num_passed_over"]) == (1, 1, 3)
    found = [(Path(one["path"]).name, one["status"]) for one in planned["findings"]]
    others = [(name, "passed_over") for name in ("b.MP", "c.insv", "d")]
    assert found == [("a.mp4", "embed"), *others]
    planned = json.loads(vidx(*command, "--json", "--any")[1])
    assert (planned["num_files"], planned["embedded"], planned["num_passed_over"]) == (4, 4, 0)


def test_what_is_passed_over_does_not_hide_that_nothing_could_be_done(
    vidx, phone, embedded
) -> None:
    (phone / "a.mp4").write_bytes(b"no video" * 99)
    command = ("embed", phone, "--collection", embedded)
    assert vidx(*command)[0] == 4
    assert vidx(*command, "--dry-run")[0] == 4


def test_a_folder_of_other_endings_alone_is_refused_with_the_way_out(
    vidx, phone, tiny_checkpoint, tmp_path
) -> None:
    (phone / "a.mp4").unlink()
    command = ("embed", phone, "--collection", tmp_path / "new", "--model", tiny_checkpoint)
    for extra in ([], ["--dry-run"]):
        assert vidx(*command, *extra) == (4, "", f"Error: no video files in {phone}\n{PASSED_OVER}")
    assert vidx(*command, "--any", "--quiet")[0] == 0


def test_progress_goes_to_standard_error_in_plain_lines(
    vidx, library, tiny_checkpoint, tmp_path
) -> None:
    where = ("--collection", tmp_path / "new")
    _, out, err = vidx("embed", library, "--model", tiny_checkpoint, *where, "--json")
    json.loads(out)
    assert "6/6 files" in err
    assert "clips/s" in err
    assert "1 failed" in err


def everything(folder: Path) -> dict[str, Any]:
    """Names, sizes and times of all files, to see that nothing changed."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock"))
    }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["embed", "missing.mp4"], 2, "does not exist"),
        (["embed"], 2, "Missing argument"),
        (["embed", ".", "--workers", "-1"], 2, "not in the range"),
        (["embed", ".", "--frobnicate"], 2, "No such option"),
        (["search", "missing.mp4"], 2, "is no file"),
        (["search", "LIBRARY/broken.mp4"], 4, "not_a_video"),
        (["search", "LIBRARY/bowl.mp4", "--start", "60"], 2, "the video ends at 5"),
        (["search", "LIBRARY/bowl.mp4", "--label", "archry"], 2, "Did you mean 'archery'"),
        (["search", "LIBRARY/bowl.mp4", "--device", "cuda:99"], 4, "cuda:99"),
        (["embed", "LIBRARY", "--fps", "3"], 4, "cannot be compared"),
        (["embed", "LIBRARY", "--frames", "8"], 4, "cannot be compared"),
        (["embed", "EMPTY"], 4, "no video files in"),
        (["embed", "LIBRARY", "--model", "./nowhere"], 4, "nowhere does not exist"),
        (["embed", "LIBRARY", "--model", "org/not-cached"], 4, "not-cached"),
        (["export", "/proc/out.parquet"], 4, "cannot be written"),
        (["restore", "99"], 2, "commit 99 removed nothing"),
        (["restore", "1"], 2, "`vidx commits` lists what each one did"),
        (["restore", "9" * 30], 2, "removed nothing"),
        (["restore", "0"], 2, "not in the range"),
        (["restore", "yesterday"], 2, "not a valid integer"),
        (["restore"], 2, "Missing argument"),
        (["commits", "--limit", "0"], 2, "not in the range"),
    ],
)
def test_wrong_use_gets_one_clear_message_and_changes_nothing(
    vidx, embedded, library, tmp_path, monkeypatch, arguments, code, words
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    places = {"LIBRARY": str(library), "EMPTY": "empty"}
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    before = everything(embedded)
    got, out, err = vidx(*arguments, "--collection", embedded)
    assert (got, out) == (code, "")
    assert words in err
    assert everything(embedded) == before


def test_a_first_embed_that_is_refused_leaves_no_folder(vidx, library, tmp_path) -> None:
    where = tmp_path / "new"
    code, _, err = vidx("embed", library, "--model", "org/not-cached", "--collection", where)
    assert code == 4
    assert "--model" in err
    assert not where.exists()


def test_nothing_embedded_at_all_ends_with_4(vidx, library, tiny_checkpoint, tmp_path) -> None:
    where = ("--collection", tmp_path / "new")
    broken = library / "broken.mp4"
    assert vidx("embed", broken, "--model", tiny_checkpoint, *where)[0] == 4
    assert vidx("embed", broken, *where)[0] == 4
    assert vidx("failures", *where)[0] == 0


def test_another_models_vectors_are_refused(vidx, library, embedded, make_checkpoint, tmp_path):
    other = make_checkpoint(tmp_path / "other", seed=7)
    code, _, err = vidx("embed", library, "--model", other, "--collection", embedded)
    assert code == 4
    assert "cannot be compared" in err
    assert "--collection" in err


def test_a_moved_model_is_found_again_with_model(
    vidx, library, make_checkpoint, tmp_path, monkeypatch
) -> None:
    model = make_checkpoint(tmp_path / "model")
    where = ("--collection", tmp_path / "new")
    query = library / "bowl.mp4"
    assert vidx("embed", query, "--model", model, *where)[0] == 0
    model.rename(tmp_path / "moved")
    code, _, err = vidx("search", query, *where)
    assert code == 4
    assert "--model" in err
    code, _, _ = vidx("search", query, *where, "--model", tmp_path / "moved")
    assert code == 0


def test_a_newer_format_is_refused(vidx, embedded, library) -> None:
    manifest = embedded / "collection.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 9'))
    for command in (["info"], ["search", "0"], ["embed", library], ["verify"], ["rebuild"]):
        code, _, err = vidx(*command, "--collection", embedded)
        assert code == 4, command
        assert "format version 9" in err


def test_interrupted_embedding_ends_with_130_and_keeps_what_is_done(
    make_video, tiny_checkpoint, tmp_path, vidx
) -> None:
    (tmp_path / "videos").mkdir()
    for seed in range(8):
        make_video(tmp_path / f"videos/{seed}.mp4", seed=seed, seconds=10.0, size=(320, 240))
    where = ["--collection", str(tmp_path / "new")]
    arguments = ["embed", str(tmp_path / "videos"), *where]
    arguments += ["--model", str(tiny_checkpoint), "--workers", "1"]
    # What runs in the background of a shell is told to ignore Ctrl-C, and so are its children.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from vidx.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not (tmp_path / "new/collection.json").exists():
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    # Python ends itself by the signal when the interrupt came within an exec(): 130 to a shell.
    assert process.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in err
    assert b"the same command goes on" in err
    assert vidx("verify", *where)[0] == 0
    assert vidx(*arguments)[0] == 0


def test_where_says_which_clips_are_meant(vidx, embedded, tmp_path) -> None:
    where = ("--collection", embedded)
    expression = "path like '%bowl.mp4' and start_seconds > 0"
    wanted = {
        hit["clip_id"]
        for hit in json.loads(vidx("search", "0", *where, "-k", 50, "--json")[1])
        if hit["start_seconds"] > 0 and any(path.endswith("bowl.mp4") for path in hit["locations"])
    }
    assert wanted
    code, out, _ = vidx("search", "0", *where, "-k", 50, "--json", "--where", expression)
    assert (code, {hit["clip_id"] for hit in json.loads(out)}) == (0, wanted)
    narrowed = ("--where", expression, "--path", "sub/*")
    assert json.loads(vidx("search", "0", *where, "--json", *narrowed)[1])
    code, out, _ = vidx("videos", *where, "--json", "--where", expression)
    assert (code, len(json.loads(out))) == (0, 1)
    out_file = tmp_path / "part.parquet"
    code, out, _ = vidx("export", out_file, *where, "--json", "--where", expression)
    assert (code, json.loads(out)["rows"]) == (0, len(wanted))
    assert set(pq.read_table(out_file)["clip_id"].to_pylist()) == wanted


@pytest.mark.parametrize("command", [["search", "0"], ["videos"], ["export", "OUT"]])
def test_a_wrong_expression_is_pointed_at(vidx, embedded, tmp_path, command) -> None:
    arguments = [str(tmp_path / "out.parquet") if one == "OUT" else one for one in command]
    expression = "width > 1 and durations_seconds < 60"
    code, out, err = vidx(*arguments, "--collection", embedded, "--where", expression)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "Error: there is no column 'durations_seconds'",
        f"  {expression}",
        "                ^",
        "Did you mean 'duration_seconds' or 'end_seconds' or 'start_seconds'?",
    ]
    assert not (tmp_path / "out.parquet").exists()


def test_segments_are_printed_with_the_span_of_the_query(vidx, embedded, library) -> None:
    asked = ("search", library / "bowl.mp4", "--by", "segment", "--collection", embedded, "-k", 1)
    code, out, _ = vidx(*asked)
    assert code == 0
    assert "of query" in out
    [segment] = json.loads(vidx(*asked, "--json")[1])
    assert list(segment) == [*HIT_KEYS, "num_clips"]
    assert segment["path"] == str(library / "bowl.mp4")


def test_examples_take_the_place_of_a_query(vidx, embedded, library) -> None:
    where = ("--collection", embedded, "--json", "-k", 2)
    liked = ("--like", 0, "--like", library / "Dance.MKV", "--unlike", library / "sub/bowl.mp4")
    code, out, _ = vidx("search", *liked, *where)
    assert (code, len(json.loads(out))) == (0, 2)
    for wrong in (("search", 0, "--like", 1), ("search",), ("search", "--unlike", 1)):
        code, _, err = vidx(*wrong, *where)
        assert code == 2
        assert err


def test_a_folder_of_queries_goes_to_a_file_and_tells_what_is_broken(
    vidx, embedded, library, tmp_path
) -> None:
    hits = tmp_path / "hits.parquet"
    asked = ("search", library, "--collection", embedded, "-k", 2, "--output", hits)
    code, out, err = vidx(*asked)
    assert code == 3
    assert "10 hits for 5 queries" in out
    assert "broken.mp4" in out
    assert "6/6 files" in err
    assert pq.read_table(hits).num_rows == 10
    code, out, err = vidx(*asked, "--json", "--quiet")
    told = json.loads(out)
    assert (code, told["num_queries"], told["num_hits"], told["hits"]) == (3, 6, 10, [])
    assert [Path(one["path"]).name for one in told["failed"]] == ["broken.mp4"]
    assert err == ""


def test_several_queries_are_printed_with_their_names(vidx, embedded, library) -> None:
    code, out, _ = vidx("search", 0, 1, "--collection", embedded, "-k", 1)
    assert code == 0
    assert "query" in out
    code, out, _ = vidx("search", library / "broken.mp4", library / "broken.mp4", "--collection",
                        embedded)  # fmt: skip
    assert code == 4
    assert "broken.mp4" in out
