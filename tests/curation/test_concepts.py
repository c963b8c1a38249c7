"""Concepts: learned from few examples, kept, asked for in `where`, and judged."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds

import vidx
from vidx.curation.probes import Examples, average_precision, judge, learn
from vidx.errors import UsageError, VidxError

CLIP = ["clip_id", "video_id", "path", "start_seconds", "end_seconds"]
LIKE = [0, 20, 40, 60, 80]  # a clip of five videos of the first kind
UNLIKE = [4, 28, 52, 76, 84]  # of other kinds


@pytest.fixture
def collection(tmp_path):
    return collection_of(tmp_path, kinds(60, spread=0.5))


def of_first_kind(ids: np.ndarray) -> np.ndarray:
    return ids // 4 % 5 == 0


def test_few_examples_tell_more_than_the_nearest_of_them(collection) -> None:
    gains = []
    ids, vectors, videos = compared(collection, "similar")
    for seed in range(10):
        random, is_first = np.random.default_rng(seed), of_first_kind(ids)
        some = [
            random.choice(np.flatnonzero(kind), 5, replace=False) for kind in (is_first, ~is_first)
        ]
        places = np.concatenate(some)
        probe = learn(Examples(vectors[places], is_first[places], videos[places]))
        rest = np.setdiff1d(ids, places)
        nearest = (vectors[rest] @ vectors[some[0]].T).max(axis=1)
        gains.append(
            average_precision(probe.scores(vectors[rest]), is_first[rest])
            - average_precision(nearest.astype(np.float64), is_first[rest])
        )
    assert np.mean(gains) > 0.02


@pytest.mark.parametrize("shared", [1, 3])  # how far all vectors lean one way, as a model's do
def test_few_examples_tell_no_less_than_a_search_for_their_mean(shared: int) -> None:
    random = np.random.default_rng(0)
    kind = np.arange(600) % 30
    vectors = random.standard_normal((30, 60))[kind] + 2 * random.standard_normal((600, 60))
    vectors = (vectors + shared * random.standard_normal(60)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gains = []
    for one in range(30):
        is_like = kind == one
        some = [random.choice(np.flatnonzero(way), 5, replace=False) for way in (is_like, ~is_like)]
        places = np.concatenate(some)
        rest = np.setdiff1d(np.arange(600), places)
        owners = places.astype(np.int32)
        probe = learn(Examples(vectors[places], is_like[places], owners))
        mean = (vectors[rest] @ vectors[some[0]].mean(axis=0)).astype(np.float64)
        ways = probe.scores(vectors[rest]), mean
        found, searched = (average_precision(way, is_like[rest]) for way in ways)
        gains.append(found - searched)
    assert np.mean(gains) > -0.02


def test_a_concept_is_asked_for_in_where_and_joined_with_all_else(collection) -> None:
    found = collection.concept("first's", LIKE, UNLIKE)
    ids = found.clip_ids()
    assert np.mean(of_first_kind(ids)) > 0.6  # of all clips a fifth is
    assert np.isin(np.flatnonzero(of_first_kind(np.arange(240))), ids).mean() > 0.8
    every = np.arange(240)
    for text, others in (
        ("concept('first''s') > .5", "not concept('first''s') <= .5"),
        (".5 < concept('first''s')", "not (concept('first''s') < .5)"),
        ("concept('first''s') > .5 and clip_id >= 0", "concept('first''s') >= 0.5"),
    ):
        assert np.array_equal(collection.where(text).clip_ids(), ids)
        assert np.array_equal(collection.where(others).clip_ids(), ids)
    assert np.array_equal(collection.where("concept('first''s') > -1").clip_ids(), every)
    less = collection.where("concept('first''s') > .8")
    assert set(less.clip_ids()) < set(ids)
    assert all(hit.clip_id in ids for hit in found.search_by_id(0, k=3))


def test_examples_are_kept_and_told_anew_and_survive_a_lost_catalogue(collection) -> None:
    collection.concept("first", LIKE, UNLIKE)
    before = collection.where("concept('first') > .5").clip_ids()
    collection.concept("first", [100], [80])
    assert collection.concepts().to_pylist() == [
        {"name": "first", "num_positives": 5, "num_negatives": 6}
    ]
    after = collection.where("concept('first') > .5").clip_ids()
    assert not np.array_equal(before, after)
    path = collection.path
    collection.close()
    for file in path.glob("catalogue*"):
        file.unlink()
    again = vidx.open(path)
    again.rebuild()
    assert again.concepts().to_pylist()[0]["num_positives"] == 5
    assert np.array_equal(again.where("concept('first') > .5").clip_ids(), after)
    moved = path.with_name("moved")
    shutil.copytree(path, moved)
    assert np.array_equal(vidx.open(moved).where("concept('first') > .5").clip_ids(), after)


def test_a_deleted_concept_is_gone_also_from_a_lost_catalogue_and_may_be_taught_anew(
    collection,
) -> None:
    collection.concept("first", LIKE, UNLIKE)
    collection.concept("other", UNLIKE, LIKE)
    commit = collection.delete_concept("first")
    assert collection.commits(1)["number"].to_pylist() == [commit]
    path = collection.path
    for again in (collection, vidx.open(path)):
        assert again.concepts()["name"].to_pylist() == ["other"]
        with pytest.raises(UsageError, match=r"(?s)there is no concept 'first'.*'other'"):
            again.delete_concept("first")
        with pytest.raises(UsageError, match="there is no concept 'first'"):
            again.where("concept('first') > .5")
        again.close()
        for file in path.glob("catalogue*"):
            file.unlink(missing_ok=True)
        vidx.open(path).rebuild()
    again.concept("first", [0], [4])
    assert again.concepts().to_pylist()[0] == {
        "name": "first", "num_positives": 1, "num_negatives": 1
    }  # fmt: skip


def test_probabilities_are_about_as_often_right_as_they_say(collection) -> None:
    ids, vectors, videos = compared(collection, "similar")
    is_first = of_first_kind(ids)
    random = np.random.default_rng(0)
    others = random.choice(np.flatnonzero(~is_first), 48, replace=False)
    half = random.permutation(np.concatenate([np.flatnonzero(is_first), others]))
    train, test = half[:40], half[40:]
    probe = learn(Examples(vectors[train], is_first[train], videos[train]))
    scores = probe.scores(vectors[test])
    assert abs(scores.mean() - is_first[test].mean()) < 0.1
    sure = scores > 0.8
    assert is_first[test][sure].mean() > 0.75


def test_the_next_clips_worth_a_label_are_the_unsure_ones_of_different_videos(collection) -> None:
    collection.concept("first", LIKE, UNLIKE)
    table = collection.suggest("first", 8)
    assert table.column_names == [*CLIP, "score"]
    assert table.num_rows == len(set(table["video_id"].to_pylist())) == 8
    assert not set(table["clip_id"].to_pylist()) & {*LIKE, *UNLIKE}
    doubt = np.abs(table["score"].to_numpy() - 0.5)
    assert (np.diff(doubt) >= 0).all()
    assert doubt[0] < 0.1


def test_a_concept_is_judged_by_what_was_left_out(collection) -> None:
    collection.concept("first", LIKE, UNLIKE)
    good = collection.evaluate("first")
    assert good.average_precision > 0.8
    assert good.chance == 0.5
    random = np.random.default_rng(0)
    made = Examples(
        random.standard_normal((60, 40)).astype(np.float32),
        np.arange(60) % 2 == 0,
        np.arange(60, dtype=np.int32) // 3,
    )
    assert judge(made).average_precision < 0.7  # there is nothing to learn
    twice = Examples(*(np.repeat(part, 2, axis=0) for part in made))
    assert judge(twice).average_precision < 0.7  # the same clips of a video are left out together


def test_what_is_wrong_is_told(collection) -> None:
    for arguments, problem in (
        (("a", [0], []), "takes a clip that is like it, and one that is not"),
        (("a", [0, 1], [1, 2]), "clip 1 is given as like 'a', and as unlike it"),
        (("a", [0], [999]), "there is no clip 999"),
    ):
        with pytest.raises(UsageError, match=problem):
            collection.concept(*arguments)
    with pytest.raises(VidxError, match="no name for a column"):
        collection.concept("a\n", [0], [1])
    assert collection.concepts().num_rows == 0
    collection.concept("fight", [0], [4])
    with pytest.raises(UsageError, match="one example of a kind"):
        collection.evaluate("fight")
    with pytest.raises(UsageError, match="n=0"):
        collection.suggest("fight", 0)
    for call in (collection.suggest, collection.evaluate):
        with pytest.raises(UsageError, match="'night' has 0 examples"):
            call("night")
    for text, problem in (
        ("concept('fights') > .5", "(?s)there is no concept 'fights'.*Did you mean 'fight'"),
        ("concept('fight')", "compared with a number"),
        ("concept('fight') between .2 and .3", "compared with a number"),
        ("concept('fight') > label('run')", "is no number"),
        ("concept('fight') > '1'", "is no number"),
        ("concept(fight) > .5", "takes one name"),
    ):
        with pytest.raises(UsageError, match=problem):
            collection.where(text)
