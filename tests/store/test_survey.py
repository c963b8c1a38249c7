from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_collections import commit, draw_video

from vidx.records import FileFinding, FileStatus, Problem, Source
from vidx.store.catalogue import Catalogue
from vidx.store.hashing import content_id
from vidx.store.journal import Failed
from vidx.store.layout import Layout
from vidx.store.shards import NewVideo
from vidx.store.survey import survey

Look = Callable[..., list[FileFinding]]


def source(path: Path) -> Source:
    return Source(str(path), path.stat().st_size, str(path.stat().st_mtime_ns))


def embedded(*paths: Path, plan: str = "plan", reason: str = "") -> NewVideo:
    """The drawn video of some equal files, whole or with a reason why it is not."""
    problem = Problem(reason, "?") if reason else None
    drawn = draw_video(paths[0].name, plan=plan, problem=problem)
    sources = [source(path) for path in paths]
    return NewVideo(content_id(paths[0]), plan, sources, drawn.embedded)


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str, str], Path]:
    (tmp_path / "videos").mkdir()

    def write(name: str, content: str = "") -> Path:
        path = tmp_path / "videos" / name
        path.write_text(content or name)
        return path

    return write


@pytest.fixture
def look(layout: Layout, open_catalogue: Callable[[], Catalogue]) -> Look:
    commit(layout)

    def run(*paths: Path, plan: str = "plan", retry_failed: bool = False) -> list[FileFinding]:
        files = [str(path) for path in paths]
        return list(survey(files, open_catalogue(), plan, retry_failed=retry_failed))

    return run


def statuses(findings: list[FileFinding]) -> list[str]:
    return [finding.status.value for finding in findings]


def test_new_files_are_to_be_embedded_and_known_by_content(make: Callable, look: Look) -> None:
    a = make("a")
    [finding] = look(a)
    assert finding == FileFinding(FileStatus.EMBED, source(a), content_id(a))


def test_equal_files_of_one_run_are_twins(make: Callable, look: Look) -> None:
    files = [make("a", "x"), make("b", "y"), make("c", "x"), make("d", "x")]
    assert statuses(look(*files)) == ["embed", "embed", "twin", "twin"]


def test_an_unchanged_file_is_not_read(make: Callable, look: Look, layout: Layout) -> None:
    a = make("a", "before")
    commit(layout, embedded(a))
    times = (a.stat().st_atime_ns, a.stat().st_mtime_ns)
    a.write_text("behind")  # as long
    os.utime(a, ns=times)
    assert statuses(look(a)) == ["unchanged"]


@pytest.mark.parametrize("way", ["time", "size"])
def test_a_change_of_size_or_time_makes_it_read_again(
    make: Callable, look: Look, layout: Layout, way: str
) -> None:
    a = make("a", "before")
    commit(layout, embedded(a))
    times = a.stat().st_atime_ns, a.stat().st_mtime_ns
    a.write_text("longer than before" if way == "size" else "behind")
    os.utime(a, ns=times if way == "size" else (times[0], times[1] - 1))
    assert statuses(look(a)) == ["embed"]


def test_a_touched_file_is_settled_by_its_content(
    make: Callable, look: Look, layout: Layout
) -> None:
    a = make("a")
    commit(layout, embedded(a))
    os.utime(a, (1, 1))
    [finding] = look(a)
    assert finding.status is FileStatus.TOUCHED
    commit(layout, places=[(finding.video_id, finding.source)])
    assert statuses(look(a)) == ["unchanged"]


def test_another_plan_is_embedded_anew(make: Callable, look: Look, layout: Layout) -> None:
    a, b = make("a", "x"), make("b", "x")
    commit(layout, embedded(a, b))
    assert statuses(look(a, b, plan="finer")) == ["embed", "twin"]


def test_a_copy_is_a_duplicate(make: Callable, look: Look, layout: Layout) -> None:
    a = make("a", "x")
    commit(layout, embedded(a))
    assert statuses(look(make("b", "x"))) == ["duplicate"]


def test_each_gone_path_explains_one_move(make: Callable, look: Look, layout: Layout) -> None:
    a, b = make("a", "x"), make("b", "x")
    commit(layout, embedded(a, b))
    new = [a.rename(a.with_name("c")), b.rename(b.with_name("d")), make("e", "x")]
    findings = look(*new)
    assert statuses(findings) == ["moved", "moved", "duplicate"]
    assert [finding.gone for finding in findings] == [str(a), str(b), None]


def test_a_failure_is_remembered_until_the_file_changes(
    make: Callable, look: Look, layout: Layout
) -> None:
    a = make("a")
    commit(layout, failed=[Failed(source(a), content_id(a), Problem("decode_error", "?"))])
    assert statuses(look(a)) == ["failed_before"]
    assert statuses(look(a, retry_failed=True)) == ["embed"]
    a.write_text("mended")
    assert statuses(look(a)) == ["embed"]


@pytest.mark.parametrize("reason", ["unreadable", "changed_while_reading"])
def test_passing_reasons_are_tried_again(
    make: Callable, look: Look, layout: Layout, reason: str
) -> None:
    a = make("a")
    commit(layout, failed=[Failed(source(a), None, Problem(reason, "?"))])
    assert statuses(look(a)) == ["embed"]


def test_a_partial_video_is_embedded_again_when_asked_and_its_other_files_are_twins(
    make: Callable, look: Look, layout: Layout
) -> None:
    a, b, whole = make("a", "x"), make("b", "x"), make("c")
    commit(layout, embedded(a, b, reason="truncated"), embedded(whole))
    c = make("d", "x")
    assert statuses(look(a, b, whole, c)) == [*["unchanged"] * 3, "duplicate"]
    again = look(a, b, whole, c, retry_failed=True)
    assert statuses(again) == ["embed", "twin", "unchanged", "twin"]
    assert statuses(look(c, a, retry_failed=True)) == ["embed", "twin"]
    os.utime(a, (1, 1))
    assert statuses(look(a)) == ["touched"]
    assert statuses(look(a, retry_failed=True)) == ["embed"]


@pytest.mark.parametrize("reason", ["unreadable", "changed_while_reading"])
def test_a_partial_video_is_embedded_again_by_itself_when_its_reason_can_pass(
    make: Callable, look: Look, layout: Layout, reason: str
) -> None:
    a = make("a", "x")
    commit(layout, embedded(a, reason=reason))
    assert statuses(look(make("b", "x"), a)) == ["embed", "twin"]


def test_files_that_were_moved_before_they_are_embedded_again_say_from_where(
    make: Callable, look: Look, layout: Layout
) -> None:
    a, b, stays = make("a", "x"), make("b", "x"), make("c", "x")
    commit(layout, embedded(a, b, stays, reason="truncated"))
    new = [a.rename(a.with_name("d")), b.rename(b.with_name("e")), make("f", "x"), stays]
    findings = look(*new, retry_failed=True)
    assert statuses(findings) == ["embed", "twin", "twin", "twin"]
    assert [finding.gone for finding in findings] == [str(a), str(b), None, None]


def test_a_partial_video_that_failed_since_is_tried_again_as_failures_are(
    make: Callable, look: Look, layout: Layout
) -> None:
    a = make("a")
    commit(layout, embedded(a, reason="truncated"))
    commit(layout, failed=[Failed(source(a), content_id(a), Problem("decode_crashed", "?"))])
    assert statuses(look(a)) == ["failed_before"]
    assert statuses(look(a, retry_failed=True)) == ["embed"]


def test_what_is_no_file_fails_at_once(tmp_path: Path, look: Look) -> None:
    fifo = tmp_path / "fifo.mp4"
    os.mkfifo(fifo)
    link = tmp_path / "loop.mp4"
    link.symlink_to(link)
    started = time.monotonic()
    findings = look(tmp_path / "vanished.mp4", fifo, tmp_path, link)
    assert time.monotonic() - started < 5
    assert statuses(findings) == ["failed"] * 4
    assert [finding.problem.reason for finding in findings] == [
        "unreadable",
        "not_a_video",
        "unreadable",
        "unreadable",
    ]


def test_a_file_that_vanishes_before_it_is_read_fails(
    make: Callable, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = make("a"), make("b")
    stat = os.stat

    def vanishing(path: str, **options: Any) -> os.stat_result:
        seen = stat(path, **options)
        a.unlink(missing_ok=True)
        return seen

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", vanishing)
        findings = look(a, b)
    assert statuses(findings) == ["failed", "embed"]
    assert findings[0].problem.reason == "unreadable"


def test_a_path_that_is_not_utf8_fails_and_is_shown_escaped(
    tmp_path: Path, look: Look, layout: Layout
) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    Path(path).touch()
    [finding] = look(Path(path))
    assert finding.problem.reason == "path_not_utf8"
    assert finding.source.path == f"{tmp_path}/caf\\xe9.mp4"
    commit(layout, failed=[Failed(finding.source, None, finding.problem)])
    assert statuses(look(Path(path))) == ["failed_before"]


def test_findings_come_in_the_order_of_the_files(make: Callable, look: Look) -> None:
    files = [make(f"{number:04d}", str(number % 300)) for number in range(700)]
    findings = look(*files)
    assert [finding.source.path for finding in findings] == [str(path) for path in files]
    assert statuses(findings) == ["embed"] * 300 + ["twin"] * 400


def test_a_survey_can_be_left_in_the_middle(make: Callable) -> None:
    files = [str(make(str(number))) for number in range(100)]
    findings = survey(files, None, "plan")
    assert next(findings).status is FileStatus.EMBED
    findings.close()


def test_content_is_known_by_its_sha256(make: Callable) -> None:
    assert content_id(make("a", "abc")) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
