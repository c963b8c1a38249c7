"""The page for curation in a real browser: the map, duplicates, proposals and snapshots."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import vidx
from vidx.service.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NAMES = ("arc", "drift", "tide")
NUM_CLIPS = 12
A_MILLION = 1_000_000


@pytest.fixture(scope="module")
def served(
    serving: Any, make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A server of three videos, two of which lie there twice."""
    folder = tmp_path_factory.mktemp("curated")
    for seed, name in enumerate(NAMES):
        make_video(folder / f"{name}.mp4", seed=seed, seconds=6.5, size=(320, 180))
    shutil.copy(folder / "arc.mp4", folder / "copy of arc.mp4")
    shutil.copy(folder / "tide.mp4", folder / "other tide.mp4")
    collection = tmp_path_factory.mktemp("curation") / "collection"
    with vidx.open(collection, create=True) as made:
        made.embed(folder, vidx.EmbedOptions(model="builtin:tiny", workers=1))
    with serving(collection, Settings(port=0)) as service:
        yield service


def drawn(page: Page) -> dict[str, float]:
    """The map's box, once it is drawn."""
    page.wait_for_selector(".legend")
    box = page.locator("canvas.map").bounding_box()
    assert box
    return box


def lasso(page: Page, box: dict[str, float], *corners: tuple[float, float]) -> None:
    """Draw a lasso, by shares of the map's width and height."""
    page.get_by_label("Lasso", exact=True).check()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


WHOLE = ((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))


def test_a_lasso_on_the_map_selects(opened: Callable[..., Page], served: Any) -> None:
    page = opened("#map")
    box = drawn(page)
    places = {row["clip_id"]: (row["x"], row["y"]) for row in rows(served, "/v1/map")}
    middle = np.mean([[min(one), max(one)] for one in zip(*places.values(), strict=True)], axis=1)
    right = sorted(one for one, (x, _) in places.items() if x > middle[0])
    lasso(page, box, (0.5, 0.01), (0.99, 0.01), (0.99, 0.99), (0.5, 0.99))
    page.locator("#selected output").wait_for()
    count = len(right)
    assert page.locator("#selected output").inner_text() == f"{count} clip{'s' * (count > 1)}"
    assert len(cards(page)) == count
    lasso(page, box, *WHOLE)
    page.get_by_text(f"{NUM_CLIPS} clips of the map").wait_for()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Save as CSV").click()
    table = Path(downloading.value.path()).read_text()
    assert len(table.splitlines()) == 1 + NUM_CLIPS
    assert "drift.mp4" in table


def cards(page: Page) -> list[str]:
    """The file names of the clips that are shown."""
    page.wait_for_selector(".card")
    return page.locator(".card .file span").all_text_contents()


def rows(served: Any, path: str) -> list[dict]:
    while (got := served.ask(path)).status == 202:
        pass
    return got.json["rows"]


def test_colours_of_the_map_are_labels_clusters_or_metadata_and_select(
    opened: Callable[..., Page], served: Any
) -> None:
    served.ask(
        "/v1/metadata",
        {"on": "clip_id", "columns": {"clip_id": [0, 1, 2], "kind": ["a", "b", "a"]}},
    )
    page = opened("#map")
    drawn(page)
    counts = {row["label"]: row["num_clips"] for row in rows(served, "/v1/labels/counts")}
    shown = page.locator(".legend span:nth-child(2)").all_inner_texts()
    assert set(shown) - {"others"} <= set(counts)
    page.get_by_label("colours by").select_option("cluster")
    page.get_by_role("button", name="Select cluster 0").wait_for()
    page.get_by_label("colours by").select_option("kind")
    page.get_by_role("button", name="Select a, 2 clips").click()
    page.get_by_text("2 clips of the map").wait_for()
    assert "colour=kind" in page.url


def test_the_map_of_an_expression_has_those_clips_alone_and_a_wrong_one_is_told(
    opened: Callable[..., Page], served: Any
) -> None:
    page = opened("#map")
    drawn(page)
    where = page.get_by_label("Where, an expression")
    where.fill("start_seconds = 0")
    where.press("Enter")
    page.get_by_text("3 clips. Drag").wait_for()
    assert "where=start_seconds" in page.url
    assert where.input_value() == "start_seconds = 0"
    where.fill("nothing = 1")
    where.press("Enter")
    page.get_by_role("alert").wait_for()
    refused = served.ask("/v1/map/points?where=nothing%20%3D%201").json
    shown = page.get_by_role("alert").text_content()
    assert shown == f"{refused['detail']} — {refused['next_step']}"
    where.fill("")
    where.press("Enter")
    page.get_by_text(f"{NUM_CLIPS} clips. Drag").wait_for()
    assert "where" not in page.url


def test_the_map_moves_by_keys_and_wheel_and_selects_what_is_in_sight(
    opened: Callable[..., Page],
) -> None:
    page = opened("#map")
    box = drawn(page)
    page.locator("canvas.map").focus()
    page.keyboard.press("s")
    page.get_by_text(f"{NUM_CLIPS} clips of the map").wait_for()
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("s")
    page.get_by_text("No clip lies there.").wait_for()
    page.keyboard.press("0")
    page.keyboard.press("s")
    page.get_by_text(f"{NUM_CLIPS} clips of the map").wait_for()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    for _ in range(12):
        page.mouse.wheel(0, -500)
    page.locator("canvas.map").focus()
    page.keyboard.press("s")
    page.locator("#selected").get_by_text(f"{NUM_CLIPS} clips").wait_for(state="detached")


def test_a_point_tells_which_clip_it_is_and_opens_it(
    opened: Callable[..., Page], served: Any
) -> None:
    page = opened("#map")
    box = drawn(page)
    ids = [row["clip_id"] for row in rows(served, "/v1/map")]
    x, y = np.array([(row["x"], row["y"]) for row in rows(served, "/v1/map")]).T
    unit = 0.92 * min(box["width"] / np.ptp(x), box["height"] / np.ptp(y))
    place = int(x.argmax())
    right = box["x"] + box["width"] / 2 + (x[place] - (x.min() + x.max()) / 2) * unit
    down = box["y"] + box["height"] / 2 - (y[place] - (y.min() + y.max()) / 2) * unit
    page.mouse.move(right, down)
    page.locator(".tip").get_by_text(f"clip {ids[place]}").wait_for()
    page.mouse.click(right, down)
    dialog = page.get_by_role("dialog")
    dialog.locator(".facts dd").first.wait_for()
    assert dialog.locator(".facts dd").first.inner_text() == str(ids[place])


def test_selected_clips_are_saved_listed_opened_and_forgotten(
    opened: Callable[..., Page], served: Any
) -> None:
    page = opened("#clips?path=drift")
    page.locator(".box input").first.check()
    page.locator(".box input").nth(1).check()
    page.get_by_label("Name of the snapshot").fill('it\'s "mine"')
    page.keyboard.press("Enter")
    page.get_by_text("Saved 2 clips as it's").wait_for()
    page.get_by_role("link", name="Snapshots").click()
    page.get_by_role("button", name='it\'s "mine"', exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('.card').length === 2")
    assert set(cards(page)) == {"drift.mp4"}
    page.get_by_role("link", name="Snapshots").click()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget it's").click()
    page.get_by_text("There are no snapshots yet.").wait_for()
    assert rows(served, "/v1/snapshots") == []


def videos_of(served: Any) -> set[str]:
    """The names of all files of the collection."""
    told = served.ask("/v1/videos").json["videos"]
    return {Path(place).name for one in told for place in one["locations"]}


def test_duplicates_are_decided_proposed_applied_and_undone(
    opened: Callable[..., Page], served: Any
) -> None:
    before = videos_of(served)
    page = opened("#duplicates")
    page.wait_for_selector(".pair")
    assert page.locator(".pair").count() == 2
    page.get_by_role("button", name="Write the proposal").click()
    page.get_by_text("Nothing is to go yet").wait_for()
    first = page.get_by_role("article", name="arc.mp4 and copy of arc.mp4")
    first.get_by_label("Keep left").check()
    page.get_by_text("1 file would go").wait_for()
    second = page.get_by_role("article", name="other tide.mp4 and tide.mp4")
    second.get_by_label("Keep right").check()
    page.get_by_text("2 files would go").wait_for()
    second.get_by_label("Keep both").check()
    page.get_by_text("1 file would go").wait_for()
    second.get_by_label("Keep right").check()
    page.get_by_role("button", name="Write the proposal").click()
    page.get_by_text("2 files to go, 2 to stay").wait_for()
    assert videos_of(served) == before, "nothing is done yet"
    page.get_by_text("Look", exact=True).click()
    page.locator(".rows li").nth(3).wait_for()
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("2 files taken out of the collection.").wait_for()
    page.get_by_text("No two videos show the same.").wait_for()
    assert before - videos_of(served) == {"copy of arc.mp4", "other tide.mp4"}
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("2 files back in the collection.").wait_for()
    page.wait_for_function("() => document.querySelectorAll('.pair').length === 2")
    assert videos_of(served) == before
    page.get_by_role("button", name="Forget").click()
    page.locator(".proposals").wait_for(state="hidden")


def test_all_pairs_are_decided_by_one_rule_and_by_keys(opened: Callable[..., Page]) -> None:
    page = opened("#duplicates")
    page.wait_for_selector(".pair")
    page.get_by_label("Which one of each").select_option("first")
    page.get_by_role("button", name="Decide").click()
    page.get_by_text("2 files would go").wait_for()
    assert page.locator(".pair[data-keep=left]").count() == 2
    page.locator(".pair .picture").first.focus()
    page.keyboard.press("r")
    assert page.locator(".pair[data-keep=right]").count() == 1
    page.keyboard.press("b")
    page.get_by_text("1 file would go").wait_for()
    page.get_by_role("button", name="Keep all").click()
    page.wait_for_function("() => !document.querySelector('.pair[data-keep=left]')")
    page.get_by_label("similar at least").fill("2")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()


def a_million_points() -> bytes:
    """A map of a million clips, as the service would send it."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 8, A_MILLION)
    places = random.standard_normal((A_MILLION, 2)) * 0.2 + random.standard_normal((8, 2))[colours]
    head = json.dumps({"num_clips": A_MILLION, "names": [f"kind {n}" for n in range(8)]}).encode()
    head += b" " * (-(4 + len(head)) % 8)
    columns = (np.arange(A_MILLION), places.astype(np.float32), colours.astype(np.uint16))
    parts = [struct.pack("<I", len(head)), head, *(column.tobytes() for column in columns)]
    return b"".join(parts)


FRAMES = """(seconds) => new Promise((resolve) => {
    const began = performance.now();
    let frames = 0;
    const canvas = document.querySelector("canvas.map");
    const step = (now) => {
        frames++;
        const key = Math.floor(frames / 4) % 2 ? "ArrowLeft" : "ArrowRight";
        canvas.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
        if (now - began < 1000 * seconds) requestAnimationFrame(step);
        else resolve(frames / seconds);
    };
    requestAnimationFrame(step);
})"""


def test_a_million_points_move_and_are_selected(
    opened: Callable[..., Page], record_property: Callable[[str, object], None]
) -> None:
    content = a_million_points()
    page = opened("#failures")
    kind = "application/octet-stream"
    page.route("**/v1/map/points?*", lambda one: one.fulfill(body=content, content_type=kind))
    page.get_by_role("link", name="Map").click()
    drawn(page)
    page.get_by_text("1,000,000 clips.").wait_for()
    page.evaluate(FRAMES, 2)
    frames = page.evaluate(FRAMES, 3)
    record_property("frames_a_second", frames)
    print(f"{frames:.1f} frames a second")
    assert frames > 10, "on a machine that does other things too"
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Select what is in sight").click()
    page.locator("#selected output").get_by_text("1,000,000 clips").wait_for()


def test_a_browser_that_cannot_draw_says_so(opened: Callable[..., Page]) -> None:
    page = opened("#failures")
    page.evaluate("HTMLCanvasElement.prototype.getContext = () => null")
    page.get_by_role("link", name="Map").click()
    assert "no WebGL" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("address", ["#map", "#duplicates", "#snapshots"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_curate(
    opened: Callable[..., Page], served: Any, address: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe").Axe()
    served.ask("/v1/snapshots", {"name": "kept", "clip_ids": [1, 2]})
    page = opened(address, color_scheme=scheme)
    page.wait_for_selector(".legend, .pair, .row")
    if address == "#map":
        lasso(page, drawn(page), *WHOLE)
        page.wait_for_selector(".card")
    if address == "#duplicates":
        page.get_by_label("Keep left").first.check()
        page.get_by_role("button", name="Write the proposal").click()
        page.wait_for_selector(".proposals li")
    found = axe.run(page).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in grave] == []


@pytest.mark.parametrize("address", ["#map", "#duplicates", "#snapshots"])
def test_a_phone_is_wide_enough_to_curate(
    opened: Callable[..., Page], served: Any, address: str
) -> None:
    served.ask("/v1/snapshots", {"name": "kept", "clip_ids": [1, 2]})
    page = opened(address, viewport={"width": 360, "height": 740}, has_touch=True)
    page.wait_for_selector(".legend, .pair, .row")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    current = page.locator("nav a[aria-current]").bounding_box()
    assert current
    assert current["x"] >= 0
    assert current["x"] + current["width"] <= 360
    if address == "#snapshots":
        row, forget = page.locator(".row").first, page.get_by_role("button", name="Forget").first
        around, within = row.bounding_box(), forget.bounding_box()
        assert around
        assert within
        assert within["y"] + within["height"] <= around["y"] + around["height"]
