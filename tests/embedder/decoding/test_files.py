"""Promises of finding videos."""

import io
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vidx.embedder.decoding import signatures
from vidx.embedder.decoding.files import VIDEO_EXTENSIONS, find_videos
from vidx.errors import UsageError
from vidx.records import Problem


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_folders_are_walked_to_their_depths_for_known_extensions(tmp_path: Path) -> None:
    expected = [
        touch(tmp_path / name)
        for name in ["a.mp4", "b/c/d.MKV", "b/e f.WebM", 'b/it\'s\n"q".avi', "z/ü.MOV"]
    ]
    for name in ["notes.txt", "b/thumb.jpg", "c", "mp4"]:
        touch(tmp_path / name)
    assert find_videos([tmp_path]).paths == tuple(sorted(expected))


@pytest.fixture(scope="module")
def video_bytes(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_video(tmp_path_factory.mktemp("made") / "a.mp4", seconds=0.2).read_bytes()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_what_holds_video_under_another_ending_is_passed_over_and_told(
    tmp_path: Path, video_bytes: bytes
) -> None:
    named = [write(tmp_path / name, video_bytes) for name in ("a.mp4", "b.gif")]
    others = [
        write(tmp_path / name, video_bytes)
        for name in ("PXL.MP", "b/none", "b/GL01.LRV", "b/x.mp4.part", "b/z.insv", "end.")
    ]
    (tmp_path / "link.360").symlink_to("PXL.MP")
    for name in ("notes", "b/data.bin", "b/short.x", "b/empty"):
        write(tmp_path / name, b"no video"[: 0 if name == "b/empty" else 5])
    for name in (".hidden", "b/.cache/none", "frame.jpg", "sound.mp3", "x.json"):
        write(tmp_path / name, video_bytes)
    found = find_videos([tmp_path])
    assert found.paths == tuple(sorted(named))
    assert found.passed_over == tuple(sorted([*others, tmp_path / "link.360"]))


def test_a_file_that_is_named_is_not_passed_over(tmp_path: Path, video_bytes: bytes) -> None:
    named = write(tmp_path / "a.MP", video_bytes)
    other = write(tmp_path / "b.MP", video_bytes)
    found = find_videos([tmp_path, named])
    assert (found.paths, found.passed_over) == ((named,), (other,))


def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would be to wait for a writer
    os.mkfifo(tmp_path / "pipe.MP")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))  # its path may be short only
    found = find_videos([tmp_path])
    assert (found.paths, found.passed_over) == ((), ())


OPENED = """
import os, sys
from vidx.embedder.decoding.files import find_videos
opened = []
sys.addaudithook(lambda event, values: event == "open" and opened.append(str(values[0])))
find_videos([sys.argv[1]])
print(*sorted(os.path.basename(path) for path in opened if path.startswith(sys.argv[1])))
"""


def test_only_what_may_hold_video_is_looked_into(tmp_path: Path, video_bytes: bytes) -> None:
    for name in ("a.mp4", "b.JPG", "c.png", "d.txt", "e.json", "f.wav", ".g", "h.npy", "i", "j.MP"):
        write(tmp_path / name, video_bytes)
    (tmp_path / "null").symlink_to("/dev/null")
    command = [sys.executable, "-c", OPENED, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["i", "j.MP"]


def test_a_look_reads_the_first_bytes_once(
    tmp_path: Path, video_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.MP", video_bytes)
    reads: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            reads.append(size)
            return super().read(size)

        def readinto(self, buffer: Any) -> int:
            reads.append(len(buffer))
            return super().readinto(buffer)

    def counting(path: str, _mode: str, buffering: int = -1) -> io.FileIO | io.BufferedReader:
        return io.BufferedReader(Counted(path)) if buffering else Counted(path)

    monkeypatch.setattr(signatures, "open", counting, raising=False)
    assert len(find_videos([tmp_path]).passed_over) == 1
    assert reads == [600]


def test_a_named_file_is_taken_whatever_its_extension(tmp_path: Path) -> None:
    odd = touch(tmp_path / "clip.bin")
    hidden = touch(tmp_path / ".hidden.mp4")
    assert find_videos([odd, hidden]).paths == tuple(sorted([odd, hidden]))


def test_hidden_files_and_folders_are_left_out_of_a_walk(tmp_path: Path) -> None:
    for name in [".vidx/a.mp4", ".git/b.mp4", "._c.mp4"]:
        touch(tmp_path / name)
    assert find_videos([tmp_path]).paths == ()


def test_a_path_named_twice_is_found_once(tmp_path: Path) -> None:
    video = touch(tmp_path / "a.mp4")
    again = [tmp_path, str(video), tmp_path / "x" / ".." / "a.mp4"]
    (tmp_path / "x").mkdir()
    assert find_videos(again).paths == (video,)


def test_paths_are_absolute_with_symlinks_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "real" / "a.mp4")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert find_videos(["link"]).paths == (tmp_path / "link" / "a.mp4",)


def test_a_circle_of_symlinks_is_walked_once(tmp_path: Path) -> None:
    video = touch(tmp_path / "a" / "b.mp4")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(".")
    assert video in find_videos([tmp_path]).paths
    assert len(find_videos([tmp_path]).paths) == 1


def test_each_folder_is_found_once_by_its_first_path(tmp_path: Path) -> None:
    video = touch(tmp_path / "b" / "x.mp4")
    (tmp_path / "c").symlink_to("b")
    assert find_videos([tmp_path]).paths == (video,)
    (tmp_path / "a").symlink_to("b")
    first = (tmp_path / "a" / "x.mp4",)
    assert find_videos([tmp_path]).paths == first
    assert find_videos([tmp_path / "c", tmp_path]).paths == first


def test_stacked_symlinks_are_no_stacked_work(tmp_path: Path) -> None:
    levels = [tmp_path / f"{number:02}" for number in range(40)]
    for level, below in itertools.pairwise(levels):
        level.mkdir()
        (level / "one").symlink_to(below)
        (level / "two").symlink_to(below)
    touch(levels[-1] / "a.mp4")
    assert len(find_videos([tmp_path]).paths) == 1


def test_a_link_that_leads_to_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    video = touch(tmp_path / "a.mp4")
    assert find_videos([tmp_path]).paths == (video,)


@pytest.mark.parametrize("name", ["n" * 300, "n" * 300 + "/a.mp4", "a\0b"])
def test_a_path_that_cannot_be_is_a_usage_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"too long|is no path"):
        find_videos([f"{tmp_path}/{name}"])


def test_a_missing_path_is_a_usage_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gone"):
        find_videos([tmp_path / "gone"])


def test_a_dangling_symlink_is_handed_on_to_fail_by_itself(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").symlink_to("nowhere")
    assert find_videos([tmp_path]).paths == (tmp_path / "broken.mp4",)


def test_a_folder_that_cannot_be_listed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = touch(tmp_path / "a.mp4")
    closed = touch(tmp_path / "closed" / "b.mp4").parent
    list_folder = os.scandir

    def refuse(folder: Path) -> object:  # permissions do not stop root, who may run this
        if folder == closed:
            raise PermissionError(13, "Permission denied")
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_videos([tmp_path])
    assert found.paths == (video,)
    assert found.unreadable == ((closed, Problem("unreadable", "Permission denied")),)


AS_NOBODY = """
import os, sys
from vidx.embedder.decoding.files import find_videos
from vidx.errors import UsageError
if os.getuid() == 0:
    os.setuid(65534)
os.chdir(sys.argv[1])
found = find_videos(["."])
print(*[os.path.relpath(path) for path in found.paths])
print(*[os.path.relpath(path) for path in found.passed_over])
print(*[os.path.relpath(path) + ":" + problem.message for path, problem in found.unreadable])
try:
    find_videos(["listed/b.mp4"])
except UsageError as error:
    print(error.problem)
"""


def test_folders_without_the_rights_are_reported_and_the_rest_goes_on() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        top = Path(name)
        top.chmod(0o755)
        touch(top / "a.mp4")
        touch(top / "z/c.mp4")
        write(top / "z/closed", b"YUV4MPEG2 ").chmod(0)
        write(top / "z/open", b"YUV4MPEG2 ").chmod(0o444)
        modes = {"listed": 0o444, "entered": 0o111}
        for folder, mode in modes.items():
            touch(top / folder / "b.mp4")
            touch(top / folder / "sub" / "b.mp4")
            (top / folder).chmod(mode)
        (top / "link").symlink_to("listed/sub")
        command = [sys.executable, "-c", AS_NOBODY, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for folder in modes:
            (top / folder).chmod(0o755)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "a.mp4 z/c.mp4",
        "z/open",
        "entered:Permission denied listed:Permission denied",
        f"{Path(name).resolve()}/listed/b.mp4 cannot be looked at (Permission denied).",
    ]


def test_a_name_that_is_not_utf8_is_kept(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/bad\xff.mp4"
    Path(os.fsdecode(name)).touch()
    assert [os.fsencode(path) for path in find_videos([tmp_path]).paths] == [name]


def test_extensions_are_lower_case_sorted_and_unlike() -> None:
    assert list(VIDEO_EXTENSIONS) == sorted({e.lower() for e in VIDEO_EXTENSIONS})


def test_every_kind_of_real_file_is_found(media: Path) -> None:
    files = [path for path in (media / "bad").iterdir() if path.is_file()]
    assert {path.suffix for path in files} <= set(VIDEO_EXTENSIONS)
    assert find_videos([media / "bad"]).paths == tuple(sorted(files))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = ["a.mp4", "b.MP4", "c.txt", ".h.mp4", "x/a.mp4", "x/y/a1.mkv", "x/.z/a.mp4", "y/a2.mkv"]
    for name in names:
        touch(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.mp4", "a.mp4"),
        ("*.[mM][pP]4", "a.mp4 b.MP4"),
        ("?.*", "a.mp4 b.MP4"),
        ("**/a*.m*", "a.mp4 x/a.mp4 x/y/a1.mkv y/a2.mkv"),
        ("x/**/a*", "x/a.mp4 x/y/a1.mkv"),
        ("**/**/y/*", "x/y/a1.mkv y/a2.mkv"),
        ("*/a[!2]*", "x/a.mp4"),
        ("[xy]", "x/a.mp4 x/y/a1.mkv y/a2.mkv"),  # folders are walked
        ("x/**", "x/a.mp4 x/y/a1.mkv"),
        ("*/y", "x/y/a1.mkv"),
        (".*.mp4", ".h.mp4"),
        ("**/.z/*", "x/.z/a.mp4"),
        ("*.mp4 x/*.mp4", "a.mp4 x/a.mp4"),
    ],
)
def test_a_glob_gives_what_a_folder_would_of_what_it_matches(
    tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, found: str
) -> None:
    monkeypatch.chdir(tree)
    paths = find_videos(pattern.split()).paths
    assert paths == tuple(tree / name for name in found.split())


def test_a_glob_passes_over_and_tells_what_a_folder_does(
    tmp_path: Path, video_bytes: bytes
) -> None:
    other = write(tmp_path / "b.LRV", video_bytes)
    touch(tmp_path / "b.txt")
    found = find_videos([tmp_path / "b*"])
    assert (found.paths, found.passed_over) == ((), (other,))
    assert find_videos([tmp_path / "b*", other]).paths == (other,)


def test_a_name_with_wildcards_that_is_there_is_itself(tmp_path: Path) -> None:
    video = touch(tmp_path / "a[1]*.mp4")
    touch(tmp_path / "a1.mp4")
    assert find_videos([video]).paths == (video,)


@pytest.mark.parametrize("pattern", ["*.avi", "none/*.mp4", "a.mp4/*", "[.mp4", "**/none*", "a\0*"])
def test_a_glob_that_matches_nothing_is_a_usage_error_that_names_it(
    tree: Path, pattern: str
) -> None:
    with pytest.raises(UsageError, match="matches nothing"):
        find_videos([tree / pattern])


def test_a_glob_is_not_caught_in_a_circle_of_symlinks(tree: Path) -> None:
    (tree / "x" / "up").symlink_to(tree)
    paths = find_videos([tree / "x/**/a*.mkv"]).paths
    assert sorted(path.name for path in paths) == ["a1.mkv", "a2.mkv"]


def test_a_folder_that_a_glob_cannot_list_is_reported(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_folder = os.scandir

    def refuse(folder: Path) -> object:
        if folder == tree / "x":
            raise PermissionError(13, "Permission denied")
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_videos([tree / "**" / "a*.mkv"])
    assert found.paths == (tree / "y/a2.mkv",)
    assert found.unreadable == ((tree / "x", Problem("unreadable", "Permission denied")),)
    assert find_videos([tree / "x" / "*.mkv"]).unreadable == found.unreadable
