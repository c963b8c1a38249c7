"""The benchmarks of retrieval and of copies measure what they say."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest
from numbered_videos import Numbered, make, number_in


@pytest.fixture(scope="module")
def scores(benchmark) -> ModuleType:
    return benchmark("scores")


def run_benchmark(checkout: Path, script: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(checkout / "benchmarks" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def by_hand(vectors, labels, groups) -> list[tuple[float, float, float]]:
    """The same figures in plain loops, without anything of scores.py."""
    rows = []
    for query, (vector, label, group) in enumerate(zip(vectors, labels, groups, strict=True)):
        found = []
        for other in range(len(labels)):
            if other == query or (group and groups[other] == group):
                continue
            lengths = sum(vector**2) ** 0.5 * sum(vectors[other] ** 2) ** 0.5
            found.append((sum(vector * vectors[other]) / lengths, labels[other] == label))
        found.sort(reverse=True)
        precisions, hits = [], 0
        for rank, (_, is_hit) in enumerate(found, start=1):
            if is_hit:
                hits += 1
                precisions.append(hits / rank)
        if precisions:
            first = [is_hit for _, is_hit in found[:5]]
            rows.append((found[0][1], sum(precisions) / hits, sum(first) / len(first)))
    return rows


def made_set(items: int = 40) -> tuple[np.ndarray, list[str], list[str]]:
    rng = np.random.default_rng(5)
    labels = [f"class {n % 4}" for n in range(items)]
    groups = [f"seq{n}" if (n := int(rng.integers(8))) else "" for _ in range(items)]
    return rng.normal(size=(items, 6)) + 2 * np.eye(6)[np.arange(items) % 4], labels, groups


def test_a_ranking_is_scored_as_on_paper(scores) -> None:
    hits = np.array([True, False, True, False, False, True])
    assert scores.ranking_scores(hits) == (1, pytest.approx((1 + 2 / 3 + 3 / 6) / 3), 2 / 5)
    assert scores.ranking_scores(np.array([False, True])) == (0, 1 / 2, 1 / 2)


def test_each_item_asks_for_its_class_among_the_others(scores) -> None:
    degrees = np.radians([0, 10, 33, 60])
    vectors = np.stack([np.cos(degrees), np.sin(degrees)], axis=1) * [[1], [9], [2], [5]]
    rows = scores.query_scores(vectors, ["a", "b", "a", "b"], [""] * 4)
    assert rows.tolist() == [
        [0, 1 / 2, 1 / 3],  # by angle: b a b
        [0, 1 / 3, 1 / 3],  # a a b
        [0, 1 / 3, 1 / 3],  # b b a
        [0, 1 / 2, 1 / 3],  # a b a
    ]


def test_scores_are_those_of_a_plain_loop(scores) -> None:
    vectors, labels, groups = made_set()
    rows = scores.query_scores(vectors, labels, groups)
    assert np.allclose(rows, by_hand(vectors, labels, groups))
    assert (
        0.3 < rows[:, 1].mean() < 0.9
    )  # neither chance nor perfect: the loop had to agree on much


def test_videos_of_one_sequence_are_neither_hits_nor_misses(scores) -> None:
    east, west = [1.0, 0.0], [0.0, 1.0]
    vectors = np.array([east, east, east, [1.0, 0.1], west])
    labels, groups = ["a", "a", "b", "a", "b"], ["s1", "s1", "s1", "s2", "s2"]
    rows = scores.query_scores(vectors, labels, groups)
    # The first two rank 3 and 4 alone. The third ranks the same and finds its class second.
    # The fourth has two hits and a miss of equal vectors, the fifth one hit among equal ones.
    assert rows[:3].tolist() == [[1, 1, 1 / 2], [1, 1, 1 / 2], [0, 1 / 2, 1 / 2]]
    assert rows[3:, 2] == pytest.approx([2 / 3, 1 / 3])


def test_a_video_without_another_of_its_class_is_no_query(scores) -> None:
    labels, groups = ["a", "a", "b", "b", "c"], ["", "", "s1", "s1", ""]
    assert scores.queries(labels, groups).tolist() == [0, 1]
    assert scores.query_scores(np.eye(5), labels, groups).shape == (2, 3)
    assert scores.chance_scores(labels, groups).shape == (2, 3)


def test_equal_vectors_score_as_chance_though_files_are_sorted_by_class(scores) -> None:
    labels, groups = sorted("abcdef" * 10), [""] * 60
    rows = scores.query_scores(np.ones((60, 4)), labels, groups)
    chance = scores.chance_scores(labels, groups)
    assert np.abs(rows.mean(axis=0) - chance.mean(axis=0)).max() < 0.1


def test_chance_is_the_mean_over_all_orders(scores) -> None:
    labels, groups = ["a", "a", "a", "b", "b", "b", "b"], ["s1", "", "", "s1", "", "", ""]
    candidates_of_first = [True, True, False, False, False]  # without itself and the other of s1
    orders = itertools.permutations(candidates_of_first)
    mean = np.mean([scores.ranking_scores(np.array(order)) for order in orders], axis=0)
    assert scores.chance_scores(labels, groups)[0] == pytest.approx(mean)


def test_the_average_gives_each_set_the_same_weight(scores) -> None:
    assert scores.average([np.zeros((1, 3)), np.ones((99, 3))]).tolist() == [0.5] * 3


def test_the_interval_is_that_of_theory(scores) -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.5, 0.2, (200, 3)), rng.normal(0.1, 0.4, (100, 3))
    low, high = scores.interval([one, other])
    error = np.sqrt(one.var(axis=0) / 200 + other.var(axis=0) / 100) / 2  # of the mean of two means
    middle = scores.average([one, other])
    assert np.allclose([middle - 1.96 * error, middle + 1.96 * error], [low, high], atol=0.005)


def test_a_difference_is_drawn_in_pairs(benchmark) -> None:
    rows = np.random.default_rng(1).random((50, 3))
    ways = {
        "model": [rows],
        "untrained": [rows - 0.5],
        "colour": [rows - 0.1],
        "motion": [rows / 2],
    }
    result = benchmark("retrieval").compare(ways)
    assert result["best_baseline"] == "colour"
    for figure in result["model_minus"]["colour"].values():  # the same for every query
        assert tuple(figure.values()) == pytest.approx((0.1, 0.1, 0.1))


def test_a_video_of_many_clips_weighs_them_alike(scores) -> None:
    clips = np.array([[100.0, 0.0], [0.0, 1.0]])
    assert scores.item_vector(clips).tolist() == [0.5, 0.5]


def test_sequences_of_two_sets_are_two_groups(benchmark) -> None:
    names = ("set1_13_seq3", "set2_13_seq3", "set1_20_seq3", "Seq3", "12", "sequence")
    groups = [benchmark("retrieval").group_of(Path(f"kick/{name}.avi")) for name in names]
    assert groups == ["set1 seq3", "set2 seq3", "set1 seq3", "seq3", "", ""]


def test_motion_says_where_and_when_something_changes(benchmark) -> None:
    frames = np.full((1, 16, 28, 28, 3), 90, np.uint8)
    frames[0, 4:, :4, 8:12] = 30  # from the fifth frame on: the fourth step, the third cell
    [vector] = benchmark("views").motion(frames)
    assert np.flatnonzero(vector).tolist() == [2, 49 + 3]
    assert np.allclose(vector[[2, 52]], 1)


def test_colour_is_the_mean_thumbnail(benchmark) -> None:
    frames = np.zeros((1, 2, 16, 16, 3), np.uint8)
    frames[0, 1, :2, 2:4] = [255, 0, 51]  # the second cell of the first row, in one of two frames
    thumbnail = benchmark("views").colour(frames).reshape(3, 8, 8)
    expected = np.zeros((3, 8, 8))
    expected[:, 0, 1] = [0.5, 0, 0.1]
    assert np.allclose(thumbnail, expected)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Three textures, each encoded in three ways, and a file that is no video."""
    folder = tmp_path_factory.mktemp("labelled") / "textures"
    for seed, label in enumerate(("brick", "grass", "sky")):
        (folder / label).mkdir(parents=True)
        make_video(folder / label / "1_seq1.mp4", seed=seed)
        make_video(folder / label / "2_seq2.avi", seed=seed, codec="mjpeg")
        make_video(folder / label / "3_seq3.mkv", seed=seed, codec="mpeg4", bit_rate=2_000_000)
    (folder / "sky" / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


@pytest.mark.long
def test_retrieval_measures_a_checkpoint_and_its_baselines(
    checkout, labelled, tiny_checkpoint, tmp_path
) -> None:
    out = tmp_path / "retrieval.json"
    arguments = ("--folder", labelled, labelled, "--device", "cpu", "--out", out)
    done = run_benchmark(checkout, "retrieval.py", "--model", tiny_checkpoint, *arguments)
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert record["machine"]["cores"] >= 1
    assert record["versions"]["torch"]
    assert record["command"].startswith("python benchmarks/retrieval.py --model")
    [result] = record["models"]
    one = result["sets"][0]
    assert (one["videos"], one["classes"], one["sequences"], one["queries"]) == (9, 3, 3, 9)
    assert [Path(path).name for path in one["failed"]] == ["broken.mp4"]
    ways = ("model", "untrained", "colour", "motion", "chance")
    assert tuple(one["scores"]) == ways
    for way in ("model", "colour"):  # the same texture is unmistakable
        assert one["scores"][way]["accuracy"]["value"] == 1.0
    # 6 candidates, as two share the sequence, of which 2 are hits
    assert one["scores"]["chance"]["accuracy"]["value"] == pytest.approx(2 / 6)
    assert one["scores"]["model"]["precision_at_5"]["value"] == pytest.approx(2 / 5)
    for way in ways:  # the same set twice
        for name, figure in result["average"][way].items():
            assert figure["value"] == pytest.approx(one["scores"][way][name]["value"])
            assert figure["low"] <= figure["value"] + 1e-9
            assert figure["value"] <= figure["high"] + 1e-9
    precision = {w: result["average"][w]["mean_average_precision"]["value"] for w in ways}
    assert result["best_baseline"] == max(("untrained", "colour", "motion"), key=precision.get)
    minus = result["model_minus"]["motion"]["mean_average_precision"]["value"]
    assert minus == pytest.approx(precision["model"] - precision["motion"])
    assert "textures: 9 videos, 3 classes, 3 sequences, 9 queries" in done.stdout
    assert "broken.mp4: not_a_video" in done.stdout


def test_the_untrained_network_is_another_one_each_time_but_always_the_same(
    benchmark, tiny_checkpoint
) -> None:
    from vidx.embedder import encoder

    trained = encoder.load(tiny_checkpoint, device="cpu")
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), dtype=np.uint8)
    one, again, other = (benchmark("views").untrained(trained, seed)(frames) for seed in (0, 0, 1))
    assert (one == again).all()
    assert not np.allclose(one, other)
    assert not np.allclose(one, trained.encode(frames)[0])


@pytest.mark.parametrize("content", ["file outside a class", "one video a class"])
def test_a_folder_of_another_layout_is_refused(
    checkout, labelled, tiny_checkpoint, tmp_path, content
) -> None:
    (tmp_path / "brick").mkdir()
    shutil.copy(labelled / "brick/1_seq1.mp4", tmp_path / "brick")
    if content == "file outside a class":
        shutil.copy(labelled / "brick/2_seq2.avi", tmp_path)
    done = run_benchmark(checkout, "retrieval.py", "--model", tiny_checkpoint, "--folder", tmp_path)
    assert done.returncode == 1
    assert "<class>/<file>" in done.stderr
    assert "Traceback" not in done.stderr


def picture_of(path: Path, number: int = 0) -> np.ndarray:
    with av.open(str(path)) as container:
        frame = next(itertools.islice(container.decode(video=0), number, None))
        return frame.to_ndarray(format="rgb24").astype(float)


@pytest.fixture
def copy_of(benchmark, tmp_path, make_video) -> Callable[[str], tuple[Path, Path]]:
    from vidx.embedder.decoding.geometry import FrameGeometry
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.decoding.video import decode_clips

    def make(kind: str, **how: object) -> tuple[Path, Path]:
        source = make_video(tmp_path / "source.mp4", **{"seconds": 5.0, "size": (160, 120)} | how)
        *_, video = decode_clips(str(source), Sampling(), Plan(), FrameGeometry())
        copy = tmp_path / "copy.mkv"
        benchmark("changes").write_copy(source, video.info, kind, copy)
        return source, copy

    return make


@pytest.mark.parametrize(
    ("kind", "size", "frames"),
    [
        ("re-encoded", (160, 120), 75),
        ("resized", (80, 60), 75),
        ("cropped", (144, 108), 75),
        ("brightened", (160, 120), 75),
        ("trimmed", (160, 120), 75),
        ("other frame rate", (160, 120), 38),  # 12.5 a second
    ],
)
def test_a_copy_is_short_and_changed_as_its_name_says(copy_of, kind, size, frames) -> None:
    _, copy = copy_of(kind)
    with av.open(str(copy)) as container:
        shown = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == (
            "mpeg4" if kind == "re-encoded" else "h264"
        )
    assert (shown[0].width, shown[0].height) == size
    assert len(shown) == frames
    assert shown[-1].time == pytest.approx(3.0 - (0.08 if frames == 38 else 0.04), abs=0.05)


def test_a_slow_video_is_shown_at_a_faster_rate(copy_of) -> None:
    _, copy = copy_of("other frame rate", fps=10)
    with av.open(str(copy)) as container:
        assert container.streams.video[0].average_rate == 25


def test_copies_hold_the_pictures_of_their_source(copy_of) -> None:
    source, copy = copy_of("trimmed")
    assert np.abs(picture_of(copy) - picture_of(source, 10)).mean() < 12  # 0.4 s at 25 a second
    assert np.abs(picture_of(copy) - picture_of(source, 0)).mean() > 15
    source, copy = copy_of("brightened")
    rise = picture_of(copy).mean() - picture_of(source).mean()
    assert 15 < rise < 60
    source, copy = copy_of("cropped")
    assert np.abs(picture_of(copy) - picture_of(source)[6:-6, 8:-8]).mean() < 12


def test_a_turned_video_gives_upright_copies(copy_of) -> None:
    source, copy = copy_of("resized", rotation=90)
    upright = np.rot90(picture_of(source), -1)[::2, ::2]  # it is to be turned clockwise
    assert picture_of(copy).shape == upright.shape
    assert np.abs(picture_of(copy) - upright).mean() < 25


def test_a_mirrored_video_gives_mirrored_copies(copy_of) -> None:
    source, copy = copy_of("resized", matrix=(0, 1, 1, 0, 0, 0))
    mirrored = picture_of(source).swapaxes(0, 1)[::2, ::2]
    assert picture_of(copy).shape == mirrored.shape
    assert np.abs(picture_of(copy) - mirrored).mean() < 25


def test_a_copys_clips_decide_by_their_best_pair_and_by_their_mean(benchmark) -> None:
    owners = np.array([0, 0, 1, 2])
    similarities = np.array([[0.1, 0.9, 0.8, 0.0], [0.2, 0.1, 0.7, 0.75]])
    found = benchmark("copies").first_found(similarities, owners)
    assert found == (0, 1, (0, 2))


def test_copies_are_compared_as_they_are_and_whitened(benchmark) -> None:
    copies = benchmark("copies")
    random = np.random.default_rng(0)
    ruling = 100.0 * random.standard_normal((60, 1)) * np.eye(1, 8)  # one direction drowns the rest
    gallery = (ruling + random.standard_normal((60, 8))).astype(np.float32)
    changed = (gallery + 10 * random.standard_normal((60, 1)) * np.eye(1, 8)).astype(np.float32)
    right = {}
    for likeness in ("similar", "copy"):
        projection = copies.project(gallery, likeness)
        nearest = (projection(changed) @ projection(gallery).T).argmax(axis=1)
        right[likeness] = np.mean(nearest == np.arange(60))
    assert right["copy"] > right["similar"]


@pytest.mark.long
def test_copies_are_searched_among_all_videos(
    checkout, make_video, tiny_checkpoint, tmp_path
) -> None:
    folder = tmp_path / "videos"
    (folder / "near_duplicates").mkdir(parents=True)
    for seed in range(3):
        make_video(folder / f"{seed}.mp4", seed=seed, seconds=3.0)
    make_video(folder / "short.mp4", seed=3, seconds=1.2)
    make_video(folder / "near_duplicates/0.webm", seed=0, codec="libvpx")
    shutil.copy(folder / "0.mp4", folder / "same bytes.mp4")
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    out = tmp_path / "copies.json"
    arguments = ("--folder", folder, "--device", "cpu", "--out", out)
    done = run_benchmark(checkout, "copies.py", "--model", tiny_checkpoint, *arguments)
    assert done.returncode == 0, done.stderr
    [result] = json.loads(out.read_text())["models"]
    assert result["videos"] == 4
    assert [Path(path).name for path in result["failed"]] == ["broken.mp4"]
    copies = {kind: one["copies"] for kind, one in result["kinds"].items()}
    assert copies == {
        "re-encoded": 4,
        "resized": 4,
        "cropped": 4,
        "brightened": 4,
        "trimmed": 3,
        "other frame rate": 4,
    }
    assert result["overall"]["copies"] == 23
    assert result["kinds"]["other frame rate"]["similar"]["found"] == 1.0
    for likeness in ("similar", "copy"):
        missed = round(23 * (1 - result["overall"][likeness]["found"]))
        assert len(result["missed"][likeness]) == missed


def test_copies_of_an_avi_show_its_pictures_in_order(benchmark, tmp_path) -> None:
    source = make(tmp_path / "source.avi", Numbered(seconds=3.0, b_frames=2))
    info = SimpleNamespace(frame_rate=30.0, codec="h264")
    copy = tmp_path / "copy.mkv"
    benchmark("changes").write_copy(source, info, "trimmed", copy)
    with av.open(str(copy)) as container:
        shown = [number_in(one.to_ndarray(format="rgb24")) for one in container.decode(video=0)]
    assert shown == list(range(12, 90))  # from 0.4 s on
