"""Manifests: which files and spans are embedded, and what is known of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_servers import WebServer
from numbered_videos import Numbered, make
from stored_clips import stored_clips

import vidx
from vidx import EmbedOptions, EmbedReport, UsageError, VidxError

Embed = Callable[..., EmbedReport]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos, of 6, 10 and 3 seconds."""
    folder = tmp_path_factory.mktemp("films")
    for number, (name, seconds) in enumerate([("a", 6.0), ("b", 10.0), ("c", 3.0)]):
        make(folder / f"{name}.mp4", Numbered(seconds=seconds, fps=15, size=(64, 48), seed=number))
    return folder


@pytest.fixture
def folder(films: Path, tmp_path: Path) -> Path:
    """A folder in which the videos are, to write manifests to."""
    return shutil.copytree(films, tmp_path / "films")


@pytest.fixture
def collection(tmp_path: Path) -> vidx.Collection:
    return vidx.open(tmp_path / "collection", create=True)


@pytest.fixture
def embed(collection: vidx.Collection, tiny_checkpoint: Path) -> Embed:
    def run(*paths: object, **options: Any) -> EmbedReport:
        asked = EmbedOptions(**{"model": tiny_checkpoint, "workers": 0, **options})
        return collection.embed([str(path) for path in paths], asked)

    return run


def listed(path: Path, *rows: str) -> Path:
    """Write a CSV manifest."""
    path.write_text("\n".join([*rows, ""]))
    return path


def clips(collection: vidx.Collection, *columns: str) -> list[tuple[Any, ...]]:
    """The name, the times and some columns of all clips, by name and start."""
    rows = collection.clips().to_pylist()
    return sorted(
        (
            Path(row["path"]).stem,
            round(row["start_seconds"], 3),
            round(row["end_seconds"], 3),
            *(row[name] for name in columns),
        )
        for row in rows
    )


def refusals(report: EmbedReport) -> dict[int, str]:
    return {row.row: row.reason for row in report.refused}


SPANS = ("path,start_seconds,end_seconds,label", "a.mp4,1,4,run", "a.mp4,4.5,5,jump", "b.mp4,,,run")


def test_each_span_is_cut_by_itself_and_the_clips_have_its_values(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    report = embed(listed(folder / "clips.csv", *SPANS))
    assert (report.embedded, report.num_files, report.refused) == (2, 2, ())
    assert clips(collection, "given_label") == [
        ("a", 1.0, 3.133, "run"),
        ("a", 1.867, 4.0, "run"),
        ("a", 4.5, 5.0, "jump"),
        ("b", 0.0, 2.133, "run"),
        ("b", 2.133, 4.267, "run"),
        ("b", 4.267, 6.4, "run"),
        ("b", 6.4, 8.533, "run"),
        ("b", 7.867, 10.0, "run"),
    ]
    assert report.num_values == 8
    assert len(collection.where("given_label = 'jump'").clips()) == 1


def cut(source: Path, target: Path, first: int, end: int) -> Path:
    """Write some frames of a video to a file of their own, without loss."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream("ffv1", rate=15)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, frame in enumerate(given.decode(video=0)):
            if first <= number < end:
                frame.pts, frame.time_base = number - first, Fraction(1, 15)
                made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return target


def test_a_span_has_the_vectors_of_a_file_cut_out_of_the_video(
    tmp_path: Path, collection: vidx.Collection, embed: Embed
) -> None:
    whole = make(tmp_path / "whole.mkv", Numbered(codec="ffv1", seconds=9, fps=15, size=(64, 48)))
    spans = {"one": (15, 69), "two": (75, 90)}  # in frames
    rows = [f"whole.mkv,{first / 15},{end / 15}" for first, end in spans.values()]
    embed(listed(tmp_path / "a.csv", "path,start_seconds,end_seconds", *rows))
    embed(*(cut(whole, tmp_path / f"{name}.mkv", *span) for name, span in spans.items()))
    found = stored_clips(collection.path)
    for name, (first, end) in spans.items():
        ours = [
            one.vector
            for (path, start, _), one in sorted(found.items())
            if path.endswith("whole.mkv") and first / 15 <= start < end / 15
        ]
        of_file = [one.vector for key, one in sorted(found.items()) if f"{name}.mkv" in key[0]]
        assert len(ours) == {"one": 2, "two": 1}[name]
        np.testing.assert_allclose(ours, of_file, rtol=0, atol=1e-5)


def test_a_search_for_the_same_span_finds_its_clips(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    embed(listed(folder / "clips.csv", *SPANS))
    options = vidx.SearchOptions(start_seconds=1.0, end_seconds=4.0)
    best = collection.search(folder / "a.mp4", 2, options)
    assert [hit.score for hit in best] == pytest.approx([1, 1], abs=1e-5)
    assert {(hit.start_seconds, hit.end_seconds) for hit in best} == {
        (hit.query_start_seconds, hit.query_end_seconds) for hit in best
    }


def test_only_what_changed_is_done_again(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    manifest = listed(folder / "clips.csv", *SPANS)
    embed(manifest)
    again = embed(manifest)
    assert (again.unchanged, again.num_clips, again.num_values, again.commit) == (2, 0, 0, None)
    listed(manifest, *(row.replace("jump", "leap") for row in SPANS))
    relabelled = embed(manifest)
    assert (relabelled.unchanged, relabelled.num_clips, relabelled.num_values) == (2, 0, 1)
    listed(manifest, *(row.replace("4.5,5", "5,5.5") for row in SPANS))
    moved = embed(manifest)
    assert (moved.embedded, moved.unchanged, moved.num_clips) == (1, 1, 3)
    assert clips(collection, "given_label")[2] == ("a", 5.0, 5.5, "jump")
    assert collection.verify() == []


def test_a_manifest_stands_beside_videos_and_folders(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    manifest = listed(folder / "clips.csv", "path,start_seconds", "a.mp4,5")
    other = folder / "more.jsonl"
    other.write_text('{"path": "b.mp4", "end_seconds": 1}\n')
    assert embed(manifest, other, folder).num_files == 3
    assert [row[:3] for row in clips(collection)] == [
        ("a", 5.0, 6.0),
        ("b", 0.0, 1.0),
        ("c", 0.0, 2.133),
        ("c", 0.867, 3.0),
    ]
    assert embed(manifest, other, folder).unchanged == 3


def written(folder: Path, ending: str, rows: list[dict[str, Any]]) -> Path:
    """The same rows as another kind of file."""
    path = folder / f"clips{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        lines = [",".join("" if v is None else str(v) for v in row.values()) for row in rows]
        listed(path, ",".join(rows[0]), *lines)
    return path


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_all_kinds_of_files_say_the_same(
    ending: str, folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    rows = [
        {"path": str(folder / "a.mp4"), "start_seconds": 0.5, "end_seconds": 1.5, "camera": 7},
        {"path": "c.mp4", "start_seconds": None, "end_seconds": 2.0, "camera": None},
    ]
    report = embed(written(folder, ending, rows))
    assert report.refused == ()
    assert clips(collection, "camera") == [("a", 0.5, 1.5, 7), ("c", 0.0, 2.0, None)]
    [column] = collection.info().metadata
    assert (column.name, column.of, column.type) == ("camera", "clip", "integer")


def test_paths_may_be_views_of_text(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    text = {"path": ["a.mp4", "c.mp4"], "camera": ["left", None]}
    views = {name: pa.array(values, pa.string_view()) for name, values in text.items()}
    pq.write_table(pa.table(views), folder / "clips.parquet")
    assert embed(folder / "clips.parquet").refused == ()
    assert {one[::3] for one in clips(collection, "camera")} == {("a", "left"), ("c", None)}


def test_rows_without_spans_are_about_videos(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    rows = ("path,split,label,camera", "a.mp4,train,run,", "b.mp4,test,jump,left")
    report = embed(listed(folder / "videos.csv", *rows))
    assert report.num_values == 5
    known = {(one.name, one.of) for one in collection.info().metadata}
    assert known == {("split", "video"), ("given_label", "video"), ("camera", "video")}
    told = {Path(row["path"]).stem: row["camera"] for row in collection.videos().to_pylist()}
    assert told == {"a": None, "b": "left"}


def test_what_was_embedded_before_gets_its_values_too(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    embed(folder)
    report = embed(listed(folder / "videos.csv", "path,split", "a.mp4,train"))
    assert (report.unchanged, report.num_clips, report.num_values) == (1, 0, 1)
    assert collection.videos().to_pylist()[0]["split"] == "train"


BAD_ROWS = {
    ",1,2": "no path",
    "absent.mp4,1,2": "'absent.mp4' does not exist",
    "inner,,": "'inner' is a folder; a row names one file",
    "other.csv,,": "'other.csv' is a manifest itself",
    "b.mp4,one,2": "start_seconds 'one' is no number of seconds",
    "b.mp4,1,nan": "end_seconds 'nan' is no number of seconds",
    "b.mp4,-1,2": "A span that starts at -1.0 s: it takes a time of 0 s or later.",
    "b.mp4,3,3": "A span from 3.0 s to 3.0 s: it must end after it starts.",
    "b.mp4,4,2": "A span from 4.0 s to 2.0 s: it must end after it starts.",
    "a.mp4,3,5": "its span overlaps with that of row 1 of clips.csv",
    "a.mp4,0,1.1": "its span overlaps with that of row 1 of clips.csv",
    "a.mp4,,": "no span, where row 1 of clips.csv has one of the same file",
    "ftp://host/x.mp4,,": "'ftp://host/x.mp4': vidx reads http://, https://, s3:// and gs://",
}


def test_a_bad_row_costs_only_itself(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    (folder / "inner").mkdir()
    rows = ("path,start_seconds,end_seconds", "a.mp4,1,4", *BAD_ROWS, "c.mp4,,", "c.mp4,1,2")
    manifest = listed(folder / "clips.csv", *rows)
    whole = "a span, where row 15 of clips.csv names all of the same file"
    expected = dict(enumerate([*BAD_ROWS.values(), None, whole], start=2))
    report = embed(manifest)
    assert refusals(report) == {row: why for row, why in expected.items() if why}
    assert {name for name, *_ in clips(collection)} == {"a", "c"}
    refused = [one.row for one in collection.survey(manifest) if one.row]
    assert refused == list(report.refused)


def test_times_of_any_type_cost_only_their_row(folder: Path, embed: Embed) -> None:
    manifest = folder / "clips.jsonl"
    manifest.write_text(
        '{"path": "a.mp4", "start_seconds": "1", "end_seconds": 2}\n'
        '{"path": "a.mp4", "start_seconds": true}\n{"path": 5}\n{"path": null, "x": 1}\n'
    )
    assert refusals(embed(manifest)) == {
        2: "start_seconds 'true' is no number of seconds",
        3: "'5' does not exist",
        4: "no path",
    }


MALFORMED = [
    ("x.csv", b"", "cannot be read as .csv"),
    ("x.csv", b"path\n", "has no rows"),
    ("x.csv", b"path,split\na.mp4,x\nb.mp4,x,y\n", "cannot be read as .csv"),
    ("x.csv", b"path,split\na.mp4,x\n\xff.mp4,y\n", "line 3 is not UTF-8"),
    ("x.csv", b'path,split\na.mp4,x\nb.mp4,"y\na.mp4,z\n', "quotes of line 3 are not closed"),
    ("x.csv", b"file,split\na.mp4,x\n", "no column 'path'.*'file', 'split'"),
    ("x.csv", b"path,label,given_label\na.mp4,x,y\n", "'given_label' is there twice"),
    ("x.jsonl", b'{"path": "a.mp4"}\n{"path"\n', "line 2 is no JSON"),
    ("x.jsonl", b'{"path": "a.mp4"}\n{"path": "\xff"}\n', "line 2 is not UTF-8"),
    ("x.parquet", b"no Parquet", "cannot be read as .parquet"),
    ("absent.csv", None, "is no file"),
]


@pytest.mark.parametrize(("name", "content", "message"), MALFORMED)
def test_a_malformed_manifest_is_refused_before_anything_is_done(
    name: str,
    content: bytes | None,
    message: str,
    folder: Path,
    collection: vidx.Collection,
    embed: Embed,
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as raised:
        embed(folder / name, folder)
    assert name in str(raised.value)
    assert not collection.exists()


def test_a_column_that_may_not_be_metadata_is_told_before_anything_is_done(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    with pytest.raises(VidxError, match="'width' has the name of something that vidx says"):
        embed(listed(folder / "x.csv", "path,width", "a.mp4,64"))
    assert not collection.exists()
    embed(listed(folder / "x.csv", "path,split", "a.mp4,train"))
    with pytest.raises(VidxError, match=r"x\.csv: the column 'split' is of videos"):
        embed(listed(folder / "x.csv", "path,split,end_seconds", "b.mp4,train,2"))
    assert collection.info().num_videos == 1


def test_a_span_after_the_end_is_told_and_tried_again_once_it_is_mended(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    rows = ("path,start_seconds,end_seconds", "a.mp4,1,3", "a.mp4,7,9", "b.mp4,5,99", "c.mp4,4,5")
    manifest = listed(folder / "clips.csv", *rows)
    report = embed(manifest)
    assert (report.partial, report.failed, report.embedded) == (1, 1, 1)
    [partial] = collection.videos(remarked=True).to_pylist()
    assert partial["problem_reason"] == "span_beyond_end"
    assert "1 of 2 spans start too late" in partial["problem_message"]
    [failed] = collection.failures().to_pylist()
    assert failed["message"] == "a span that starts at 4 s: the video ends at 3.000 s"
    again = embed(manifest)
    assert (again.unchanged, again.failed, again.num_clips) == (2, 1, 0)
    mended = embed(listed(manifest, *(row.replace("c.mp4,4", "c.mp4,2") for row in rows)))
    assert (mended.unchanged, mended.embedded) == (2, 1)
    assert len(collection.failures()) == 0


def test_the_same_bytes_have_one_set_of_spans(
    folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    for name in ("twin.mp4", "z.mp4"):
        shutil.copy(folder / "a.mp4", folder / name)
    rows = ("path,end_seconds,label", "a.mp4,3,run", "twin.mp4,3,jump", "z.mp4,2,run")
    manifest = listed(folder / "clips.csv", *rows)
    for _ in range(2):
        report = embed(manifest)
        assert (report.failed, report.num_files) == (1, 3)
        [failed] = collection.failures().to_pylist()
        assert (failed["reason"], Path(failed["path"]).name) == ("other_spans", "z.mp4")
        assert list(refusals(report)) == [2]
        assert refusals(report)[2].startswith("given_label is 'jump', and 'run' in an earlier row")
        assert {row[3] for row in clips(collection, "given_label")} == {"run"}
    listed(manifest, *(row.replace("z.mp4,2", "z.mp4,3") for row in rows))
    assert (embed(manifest).failed, collection.info().num_locations) == (0, 3)


KILLED = """
import os, signal, sys
import vidx
from vidx.store.metadata.of_manifests import ManifestMetadata
from vidx.store.writer import Writer

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

commits = []
commit = Writer.commit
def counted(*how):
    commits.append(commit(*how))
    if len(commits) == 2:
        kill()
    return commits[-1]

if sys.argv[4] == "between":
    ManifestMetadata.set = kill
else:
    Writer.commit = counted
policy = vidx.CommitPolicy(num_clips=1, part_clips=1)
options = vidx.EmbedOptions(model=sys.argv[3], workers=0, batch_size=1, commit=policy)
vidx.open(sys.argv[2], create=True).embed(sys.argv[1], options)
"""


@pytest.mark.parametrize("when", ["between", pytest.param("within", marks=pytest.mark.long)])
def test_a_killed_run_goes_on(
    when: str,
    folder: Path,
    tmp_path: Path,
    collection: vidx.Collection,
    embed: Embed,
    tiny_checkpoint: Path,
) -> None:
    """Killed in the midst of a video's parts, or before their values are set."""
    manifest = listed(folder / "clips.csv", *SPANS[:3])
    embed(manifest)
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, manifest, killed, tiny_checkpoint, when]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    other = vidx.open(killed)
    assert other.info().num_clips == (0 if when == "within" else 3)
    report = other.embed(manifest, EmbedOptions(model=tiny_checkpoint, workers=0))
    assert report.num_clips == (1 if when == "within" else 0)
    assert clips(other, "given_label") == clips(collection, "given_label")
    assert other.verify() == []


@pytest.mark.usefixtures("short_waits")
def test_objects_may_have_spans(
    web: WebServer, folder: Path, collection: vidx.Collection, embed: Embed
) -> None:
    web.content["/a.mp4"] = (folder / "a.mp4").read_bytes()
    rows = [f"{web.url}/{name},1,4" for name in ("a.mp4", "absent.mp4")]
    manifest = listed(folder / "clips.csv", "path,start_seconds,end_seconds", *rows)
    report = embed(manifest)
    assert refusals(report) == {2: f"'{web.url}/absent.mp4' does not exist"}
    assert clips(collection) == [("a", 1.0, 3.133), ("a", 1.867, 4.0)]
    assert embed(manifest).unchanged == 1


def test_the_command_line_tells_of_refused_rows(
    folder: Path, tmp_path: Path, tiny_checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from vidx.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        shared = ["--collection", str(tmp_path / "c"), "--model", str(tiny_checkpoint)]
        with pytest.raises(SystemExit) as ended:
            main(["embed", str(manifest), *shared, "--workers", "0", *arguments])
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    manifest = listed(folder / "clips.csv", "path,split", "c.mp4,test", "absent.mp4,test")
    told = {"manifest": str(manifest), "row": 2, "reason": "'absent.mp4' does not exist"}
    code, out, _ = run("--dry-run", "--json")
    assert (code, json.loads(out)["refused_rows"]) == (3, [told])
    code, out, _ = run()
    assert code == 3
    assert "1 value of metadata set." in out
    assert "row 2: 'absent.mp4' does not exist" in out
    code, out, _ = run("--json")
    assert (code, json.loads(out)["num_values"]) == (3, 0)
    listed(manifest, "path", "absent.mp4")
    code, _, err = run()
    assert (code, "1 of 1 rows are refused" in err) == (4, True)
