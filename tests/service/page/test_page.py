"""The page in a real browser, on a server of a small collection of made videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_collections import commit, draw_video

import vidx
from vidx.service.settings import Settings
from vidx.store.layout import Layout

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NAMES = ("arc", "bounce", "drift", "orbit", "tide")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Five videos; those of mpeg4 no browser plays. One file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, name in enumerate(NAMES):
        codec = "mpeg4" if name == "orbit" else "libx264"
        make_video(folder / f"{name}.mp4", seed=seed, seconds=6.5, codec=codec, size=(320, 180))
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


@pytest.fixture(scope="module")
def served(serving: Any, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    collection = tmp_path_factory.mktemp("page") / "collection"
    with vidx.open(collection, create=True) as opened:
        opened.embed(videos, vidx.EmbedOptions(model="builtin:tiny", workers=1))
    with serving(collection, Settings(port=0, roots=(videos,))) as service:
        yield service


def cards(page: Page) -> list[str]:
    """The file names of the clips that are shown, in order of place."""
    page.wait_for_selector(".card")
    return page.locator(".grid .cell").evaluate_all(
        "cells => cells.sort((a, b) => a.dataset.place - b.dataset.place)"
        ".map((cell) => cell.querySelector('.file span').textContent)"
    )


def scores(page: Page) -> list[float]:
    page.wait_for_selector(".grid .score")
    return [float(text) for text in page.locator(".grid .score").all_text_contents()]


def test_a_video_is_searched_for(opened: Callable[..., Page], videos: Path) -> None:
    page = opened()
    page.set_input_files("input[type=file]", videos / "tide.mp4")
    assert scores(page)[0] > 0.99
    assert cards(page)[0] == "tide.mp4"
    assert page.get_by_text("like tide.mp4").is_visible()


def test_a_video_is_dropped(opened: Callable[..., Page], videos: Path) -> None:
    page = opened()
    page.wait_for_selector(".card")
    drop = """async (bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "arc.mp4"));
        dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}));
    }"""
    page.evaluate(drop, list((videos / "arc.mp4").read_bytes()))
    page.wait_for_selector(".grid .score")
    assert cards(page)[0] == "arc.mp4"


def test_what_is_no_video_is_told(opened: Callable[..., Page], videos: Path) -> None:
    page = opened()
    page.set_input_files("input[type=file]", videos / "broken.mp4")
    said = page.get_by_role("alert")
    said.wait_for()
    assert "Invalid data" in said.inner_text()


@pytest.mark.parametrize(("name", "by"), [("arc", "source"), ("orbit", "span")])
def test_a_clip_plays_under_the_pointer(opened: Callable[..., Page], name: str, by: str) -> None:
    page = opened(f"#clips?path={name}.mp4")
    page.locator(".picture").nth(1).hover()
    playing = "() => document.querySelector('.picture video.plays')?.currentTime > 0.2"
    page.wait_for_function(playing)
    source = page.locator(".picture video").get_attribute("src")
    assert source is not None
    assert by in source
    page.mouse.move(2, 2)
    page.wait_for_function("() => !document.querySelector('.picture video')")


def test_a_span_plays_over_and_over(opened: Callable[..., Page]) -> None:
    page = opened("#clips?path=arc.mp4")
    page.locator(".picture").nth(1).hover()
    watch = """() => new Promise((resolve) => {
        const video = document.querySelector('.picture video'), times = [];
        const look = setInterval(() => {
            times.push(video.currentTime);
            if (times.some((time, place) => time < times[place - 1])) {
                clearInterval(look);
                resolve(times);
            }
        }, 50);
    })"""
    page.wait_for_selector(".picture video")
    times = page.evaluate(watch)
    played = [time for time in times if time > 0]
    assert min(played) > 2.0
    assert max(played) < 4.6


def test_similar_clips_of_a_clip(opened: Callable[..., Page]) -> None:
    page = opened("#clips?path=drift")
    page.get_by_role("button", name="similar to").first.click()
    assert scores(page)[0] == pytest.approx(1.0, abs=1e-3)
    page.get_by_label("other videos only").check()
    page.wait_for_function(
        "() => document.querySelector('.grid .score')"
        " && !document.querySelector('.file span[title$=\"drift.mp4\"]')"
    )
    assert "drift.mp4" not in cards(page)
    page.go_back()
    page.go_back()
    page.wait_for_function("() => !document.querySelector('.grid .score')")
    assert set(cards(page)) == {"drift.mp4"}


def test_answers_are_clips_videos_or_segments(opened: Callable[..., Page]) -> None:
    page = opened("#clips?like=0")
    assert len(scores(page)) > len(NAMES)
    page.get_by_text("Videos", exact=True).last.click()
    page.wait_for_function(
        "(many) => document.querySelectorAll('.card').length === many", arg=len(NAMES)
    )
    assert sorted(cards(page)) == sorted(f"{name}.mp4" for name in NAMES)
    videos = page.wait_for_selector(".grid")
    page.get_by_text("Segments").click()
    videos.wait_for_element_state("hidden")  # what comes now answers the new question
    assert "by=segment" in page.url
    assert scores(page)


def test_clips_are_filtered(opened: Callable[..., Page], served: Any) -> None:
    page = opened()
    page.get_by_label("Where, an expression").fill("start_seconds > 4")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 10")
    assert page.evaluate("document.activeElement.id") == "where"
    top = served.ask("/v1/clips?limit=1").json["clips"][0]["labels"][0]["name"]
    page.get_by_label("Label", exact=True).select_option(top)
    page.wait_for_function("() => location.hash.includes('label')")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("() => document.querySelectorAll('.card').length > 15")
    page.get_by_label("Where, an expression").fill("colour = 'red'")
    page.keyboard.press("Enter")
    assert "colour" in page.get_by_role("alert").inner_text()


def test_a_least_score_leaves_the_better_ones(opened: Callable[..., Page]) -> None:
    page = opened("#clips?like=0&least=0.9")
    kept = scores(page)
    assert min(kept) >= 0.9
    everything = opened("#clips?like=0")
    assert len(kept) < len(scores(everything))


def test_likes_and_unlikes_refine(opened: Callable[..., Page]) -> None:
    page = opened("#clips?like=0")
    before = scores(page)
    page.get_by_role("button", name="Less like").nth(-1).click()
    page.wait_for_selector(".examples .unlike")
    page.wait_for_function(
        "(best) => document.querySelector('.grid .score')?.textContent !== best",
        arg=f"{before[0]:.3f}",
    )
    page.get_by_role("button", name="More like").nth(1).click()
    page.wait_for_function("() => document.querySelectorAll('.examples .like').length === 2")
    page.get_by_role("button", name="No longer unlike").click()
    page.wait_for_function("() => !document.querySelector('.examples .unlike')")
    assert scores(page)


def test_many_are_selected_and_tagged(opened: Callable[..., Page], served: Any) -> None:
    page = opened("#clips?path=bounce")
    boxes = page.locator(".box input")
    boxes.first.check()
    boxes.nth(2).click(modifiers=["Shift"])
    page.get_by_text("3 clips", exact=True).wait_for()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Save as CSV").click()
    assert len(Path(downloading.value.path()).read_text().splitlines()) == 4
    page.get_by_label("Column", exact=True).fill("split")
    page.get_by_label("Value").fill("train")
    page.keyboard.press("Enter")
    page.get_by_text("Set split of 3 clips.").wait_for()
    tagged = served.ask("/v1/clips?where=split%20=%20'train'").json["clips"]
    assert {clip["path"].rsplit("/", 1)[-1] for clip in tagged} == {"bounce.mp4"}
    assert len(tagged) == 3


def test_a_clip_is_shown_large(opened: Callable[..., Page]) -> None:
    page = opened("#clips?like=0")
    page.locator(".picture").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".neighbours .card").first.wait_for()
    dialog.locator(".strip button.matches").first.wait_for()
    assert "matches what is asked" in dialog.inner_text()
    thumbs = dialog.locator(".strip button.matches")
    assert thumbs.count() >= 3
    title = dialog.locator("h2").inner_text()
    thumbs.last.click()
    page.wait_for_function(f"() => document.querySelector('dialog h2').textContent !== {title!r}")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_the_keyboard_alone_is_enough(opened: Callable[..., Page]) -> None:
    page = opened()
    page.wait_for_selector(".card")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the link that skips to the clips
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    place = page.evaluate("document.activeElement.closest('.cell').dataset.place")
    assert int(place) > 1
    page.wait_for_selector(".picture video")
    page.keyboard.press("x")
    page.get_by_text("1 clip", exact=True).wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.closest('.cell')?.dataset.place") == place
    page.keyboard.press("s")
    assert scores(page)[0] == pytest.approx(1.0, abs=1e-3)
    page.keyboard.press("/")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    page.get_by_text("like clip 3").wait_for()


def test_failures_and_jobs_are_shown(
    opened: Callable[..., Page], served: Any, videos: Path, make_video: Callable[..., Path]
) -> None:
    page = opened("#failures")
    page.get_by_text("not a video").wait_for()
    make_video(videos / "later.mp4", seed=9, seconds=2.5)
    page.get_by_role("link", name="Jobs").click()
    page.get_by_label("Files and folders").fill(str(videos / "later.mp4"))
    page.get_by_role("button", name="Embed").click()
    page.get_by_text("1 file: 1 embedded").wait_for()
    assert page.locator(".status").inner_text() == "done"
    page.get_by_label("Files and folders").fill("/elsewhere")
    page.get_by_role("button", name="Embed").click()
    page.get_by_text("outside of the folders").wait_for()
    page.get_by_role("link", name="Videos").click()
    page.get_by_role("button", name="later.mp4").click()
    page.wait_for_function("() => document.querySelectorAll('.card').length === 2")


def test_a_token_is_asked_for_once(serving: Any, served: Any, opened: Callable[..., Page]) -> None:
    token = "a token of the test"
    with serving(served.collection, Settings(port=0, token=token)) as service:
        page = opened(url=service.url)
        page.get_by_label("Token").fill("not this one, I think")
        page.keyboard.press("Enter")
        page.get_by_text("this is not the token").wait_for()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.wait_for_selector(".card")


def test_a_phone_shows_all_of_its_width(opened: Callable[..., Page]) -> None:
    page = opened("#clips?like=0", viewport={"width": 360, "height": 740}, has_touch=True)
    page.wait_for_selector(".grid .score")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator(".picture").first.tap()
    page.get_by_role("dialog").locator(".neighbours .card").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "address", ["#clips", "#clips?like=0&unlike=3", "#videos", "#failures", "#jobs"]
)
def test_everybody_can_use_it(opened: Callable[..., Page], scheme: str, address: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe").Axe()
    page = opened(address, color_scheme=scheme)
    page.wait_for_selector(".cell, .jobs")
    luma = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert (page.evaluate(luma) < 100) == (scheme == "dark")
    if address == "#clips":
        page.locator(".picture").first.click()
        page.wait_for_selector(".neighbours .card")
    found = axe.run(page).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in grave] == []


def test_many_clips_scroll_as_few_do(
    serving: Any, tmp_path: Path, opened: Callable[..., Page]
) -> None:
    commit(Layout(tmp_path / "many"), *(draw_video(f"v{n}", clips=500) for n in range(8)))
    with serving(tmp_path / "many") as service:
        page = opened(url=service.url)
        page.wait_for_selector(".card")
        for _ in range(40):
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            page.wait_for_timeout(100)
        last = (
            "Math.max(...[...document.querySelectorAll('.cell')].map((one) => one.dataset.place))"
        )
        page.wait_for_function(f"() => {last} === 3999 || scrollTo(0, 1e9)")
        assert page.locator(".cell").count() < 100
