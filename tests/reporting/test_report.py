"""The page of `vidx report`: what it says, what it needs, and how large it may be."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from curated_collections import collection_of, kinds
from made_collections import LABELS, SPACE, commit, draw_video, path_of

import vidx
from vidx.curating import part as parts
from vidx.errors import UsageError, VidxError
from vidx.reporting import report as reports
from vidx.store.layout import Layout

CHAPTERS = ["failures", "duplicates", "leakage", "labels", "clusters", "quality", "outliers"]
MARKUP = "<img src=x onerror=alert(1)>"


class Read(HTMLParser):
    """What a page has: its chapters with their text, its pictures, and all that it asks for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.chapters: dict[str, str] = {}
        self.pictures: list[dict[str, str]] = []
        self.tags: set[str] = set()
        self.addresses: set[str] = set()
        self._chapter = "head"
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        self.addresses |= {given[name] for name in ("src", "href", "srcset") if name in given}
        if tag in ("section", "footer"):
            self._chapter = given.get("id", tag)
        if tag == "img":
            self.pictures.append(given)

    def handle_data(self, data: str) -> None:
        self.chapters[self._chapter] = self.chapters.get(self._chapter, "") + data


class Made(NamedTuple):
    """A page of the collection of `library`, and what was told on the way."""

    collection: vidx.Collection
    file: Path
    written: vidx.HtmlReport
    steps: list[vidx.ReportProgress]


@pytest.fixture(scope="module")
def made(embedded_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    collection = vidx.open(shutil.copytree(embedded_once, folder / "collection"))
    steps: list[vidx.ReportProgress] = []
    file = folder / "page.html"
    return Made(collection, file, collection.report(file, progress=steps.append), steps)


@pytest.fixture
def drawn(tmp_path: Path) -> vidx.Collection:
    """Twelve drawn videos, whose files are not there: one of them is in two splits, one twice."""
    videos = kinds(12)
    videos["again"] = videos["v000"] + 1e-3
    collection = collection_of(tmp_path, videos, v003=(path_of("v003"), path_of("copy")))
    names = [path_of(name) for name in videos]
    split = ["test" if "again" in name else "train" for name in names]
    kind = ["abc"[number % 3] for number in range(len(names))]
    collection.set_metadata({"path": names, "split": split, "kind": kind})
    return collection


def read(part: vidx.Collection | vidx.Selection, folder: Path, **asked: object) -> Read:
    part.report(folder / "page.html", **asked)
    return Read(folder / "page.html")


def test_a_page_needs_nothing_but_itself(made: Made) -> None:
    page = Read(made.file)
    assert list(page.chapters) == ["head", *CHAPTERS, "making", "footer"]
    assert not page.tags & {"script", "link", "iframe", "object", "base", "form"}
    assert all(one.startswith(("data:image/webp;base64,", "#")) for one in page.addresses)
    assert page.pictures
    assert all(one["alt"] for one in page.pictures)
    assert made.written == vidx.HtmlReport(str(made.file), made.file.stat().st_size, 8, 0, 0)
    assert [path.name for path in made.file.parent.glob("*page*")] == ["page.html"]


def test_it_tells_what_the_questions_answer(made: Made) -> None:
    page = Read(made.file)
    assert "not_a_video" in page.chapters["failures"]
    assert "broken.mp4" in page.chapters["failures"]
    assert "sub/copy of bowl.mp4" in page.chapters["duplicates"]
    assert "the same bytes" in page.chapters["duplicates"]
    space = made.collection.info().space
    for told in (space.fingerprint, space.source, f"{space.fps:g} a second", "torch"):
        assert told in page.chapters["making"]
    assert "vidx report --html page.html" in page.chapters["making"]


def test_copies_leaks_labels_and_kinds_are_told_side_by_side(drawn, tmp_path: Path) -> None:
    page = read(drawn, tmp_path)
    groups = set(drawn.duplicates(by="video").column("group").to_pylist())
    assert f"{len(groups)} groups of videos" in page.chapters["duplicates"]
    assert "copy.mp4" in page.chapters["duplicates"]
    assert f"{drawn.leakage().num_rows} pairs of videos" in page.chapters["leakage"]
    assert "again.mp4" in page.chapters["leakage"]
    assert "column kind" in page.chapters["labels"]
    assert "in test" in page.chapters["labels"]
    first = drawn.clusters().to_pylist()[0]
    assert f"{first['name']}: {first['size']} clips" in page.chapters["clusters"]
    [lonely] = drawn.outliers(1).to_pylist()
    assert f"1: factor {lonely['factor']:.2f}" in page.chapters["outliers"]
    by_issue = Counter(drawn.quality().column("issue").to_pylist())
    assert f"black: {by_issue['black']} clips" in page.chapters["quality"]


def test_files_that_are_gone_leave_their_reason(drawn, tmp_path: Path) -> None:
    written = drawn.report(tmp_path / "page.html")
    page = Read(tmp_path / "page.html")
    assert written.num_pictures == 0 < written.num_missing
    assert not page.pictures
    assert "no file of this video is as it was" in page.chapters["clusters"]
    assert f"{written.num_missing} could not be had" in page.chapters["footer"]


def test_what_does_not_apply_is_told_in_a_line(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "one")
    commit(layout, draw_video("one", 1, labels=()))
    page = read(vidx.open(layout.root), tmp_path)
    assert page.chapters["failures"].endswith("Every file was embedded, and whole.\n\n")
    assert "No video is there more than once" in page.chapters["duplicates"]
    assert "no column of metadata split" in page.chapters["leakage"]
    assert "no classification head" in page.chapters["labels"]
    assert "Nothing to tell: " in page.chapters["outliers"]


def test_a_collection_without_clips_has_a_page(embedded: Path, library: Path, tmp_path) -> None:
    collection = vidx.open(embedded)
    rows = collection.videos().to_pylist()
    collection.remove([path for row in rows for path in row["locations"]])
    page = read(collection, tmp_path)
    assert "broken.mp4" in page.chapters["failures"]
    assert all("There are no clips" in page.chapters[name] for name in CHAPTERS[1:])


def test_a_selection_is_told_alone_and_as_what(drawn, tmp_path: Path) -> None:
    page = read(drawn.where("kind = 'a'"), tmp_path)
    assert "vidx report --html page.html --where" in page.chapters["making"]
    assert "again.mp4" in page.chapters["clusters"] + page.chapters["outliers"]
    assert "v001.mp4" not in "".join(page.chapters.values())
    with pytest.raises(UsageError, match="no clips"):
        drawn.where("kind = 'z'").report(tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_a_page_stays_small(made: Made, tmp_path: Path, monkeypatch) -> None:
    whole = made.written.size_bytes
    monkeypatch.setattr(reports, "MOST_BYTES", whole - 1)
    written = made.collection.report(tmp_path / "page.html")
    assert written.size_bytes < whole
    assert 0 < written.num_left_out < 8
    assert (
        f"{written.num_left_out} were left out" in Read(tmp_path / "page.html").chapters["footer"]
    )


def test_names_are_text_whatever_is_in_them(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "odd")
    labels = (MARKUP, *LABELS[1:])
    videos = [draw_video(f"{MARKUP}{number}", labels=labels) for number in range(3)]
    commit(layout, *videos, space=replace(SPACE, labels=labels))
    collection = vidx.open(layout.root)
    rows = [row["path"] for row in collection.videos().to_pylist()]
    collection.set_metadata({"path": rows, "split": [MARKUP, "b", "c"], "kind": ["x", MARKUP, "y"]})
    page = read(collection, tmp_path)
    assert "img" not in page.tags
    assert MARKUP in page.chapters["clusters"]


def test_nothing_is_found_twice(drawn, tmp_path: Path, monkeypatch) -> None:
    graphs: Counter[tuple[str, bool]] = Counter()
    found = parts.graph_of

    def counted(index, rows, likeness, *, apart, progress):
        graphs[likeness, apart] += 1
        return found(index, rows, likeness, apart=apart, progress=progress)

    monkeypatch.setattr(parts, "graph_of", counted)
    drawn.where("kind = 'a'").report(tmp_path / "page.html")
    assert graphs == {("copy", True): 1, ("similar", False): 1}


def test_pictures_that_embed_has_stored_are_shown_without_the_videos(
    library: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    videos = shutil.copytree(library, tmp_path / "videos")
    collection = vidx.open(tmp_path / "collection", create=True)
    collection.embed(videos, vidx.EmbedOptions(model=tiny_checkpoint, workers=0, previews=True))
    shutil.rmtree(videos)
    written = collection.report(tmp_path / "page.html")
    assert (written.num_pictures > 0, written.num_missing) == (True, 0)
    shown = Read(tmp_path / "page.html").pictures
    assert all(one["src"].startswith("data:image/jpeg;base64,") for one in shown)
    assert "data:image/jpeg" in collection.show(collection.outliers())._repr_html_()


def test_progress_is_told_by_chapter_and_picture(made: Made) -> None:
    assert [step.stage for step in made.steps if step.stage in CHAPTERS] == CHAPTERS
    assert [step.done for step in made.steps if step.stage == "pictures"] == list(range(1, 9))


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nowhere/page.html", "there is no folder"), (".", "is a folder")],
)
def test_a_file_that_cannot_be_is_told_before_anything_is_asked(
    drawn, tmp_path: Path, name: str, problem: str
) -> None:
    steps: list[vidx.ReportProgress] = []
    with pytest.raises(UsageError, match=problem):
        drawn.report(tmp_path / name, progress=steps.append)
    assert not steps


def test_a_page_takes_the_place_of_no_file_of_another_kind(drawn, tmp_path: Path) -> None:
    steps: list[vidx.ReportProgress] = []
    (tmp_path / "a.mp4").write_text("a video")
    (tmp_path / "page.HTM").write_text("to be replaced")
    with pytest.raises(UsageError, match="by its name no HTML file\nChoose another name"):
        drawn.report(tmp_path / "a.mp4", progress=steps.append)
    assert (steps, (tmp_path / "a.mp4").read_text()) == ([], "a video")
    drawn.report(tmp_path / "page.HTM")
    assert Read(tmp_path / "page.HTM").chapters


def test_a_folder_that_takes_no_file_is_an_error_with_a_next_step(drawn) -> None:
    with pytest.raises(VidxError, match=r"cannot be written[^\n]*\nChoose another place"):
        drawn.report("/proc/page.html")


def test_a_column_that_is_not_there_is_refused(drawn, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is 'split', 'kind'"):
        drawn.report(tmp_path / "page.html", split="fold")
    assert "column kind" in read(drawn, tmp_path, split="kind").chapters["leakage"]


def test_the_command_writes_what_python_does(drawn, tmp_path: Path, capsys) -> None:
    from vidx.cli import main

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["report", "--collection", str(drawn.path), *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    file = str(tmp_path / "page.html")
    code, told = run("--html", file, "--json", "--where", "kind = 'b'", "--split", "kind")
    written = drawn.where("kind = 'b'").report(tmp_path / "same.html", split="kind")
    assert code == 0
    assert json.loads(told)["num_missing"] == written.num_missing
    assert (
        Read(Path(file)).chapters["clusters"] == Read(tmp_path / "same.html").chapters["clusters"]
    )
    code, told = run("--html", file)
    assert (code, "pictures could not be had" in told) == (0, True)
    assert run("--html", str(tmp_path))[0] == 2
    assert run()[0] == 2
