"""The page in a real headless Chromium: it fetches nothing, says nothing on the console, and does what it shows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import Opened
from pages_made import METHODS, page_of, source

from s2g.report.html.demo import demo_page
from s2g.report.media import data_uri

NASTY = """<script>window.pwned=1</script>"'&<img src=x onerror="window.pwned=2">"""


def test_gallery_flips_by_click(opened: Callable[..., Opened]) -> None:
    page = opened(page_of())
    assert page.large == source(3, 2)
    for place, method in enumerate(METHODS):
        page.page.get_by_role("tab").nth(place).click()
        assert page.large == source(3, place)
        chosen = page.page.locator("[role=tab][aria-selected=true]")
        assert chosen.count() == 1 and method.label in chosen.inner_text()
        assert page.page.locator(".wall img").nth(7).get_attribute("src") == source(7, place)
    assert page.page.url.endswith("#item=3&method=s2")


def test_gallery_flips_by_key(opened: Callable[..., Opened]) -> None:
    page = opened(page_of())
    seen = []
    for key in ("1", "2", "3", "ArrowRight", "ArrowLeft", "j", "k", "k", "9"):
        page.page.keyboard.press(key)
        seen.append(page.large)
    assert seen == [source(*at) for at in ((3, 0), (3, 1), (3, 2), (3, 0), (3, 2), (4, 2), (3, 2), (2, 2), (2, 2))]
    page.page.locator(".wall button").nth(2).focus()
    page.page.keyboard.press("ArrowDown")
    assert page.large == source(3, 2) and page.page.evaluate("document.activeElement.dataset.item") == "3"
    page.page.keyboard.press("ArrowUp")
    page.page.keyboard.press("ArrowLeft")
    assert page.large == source(2, 1)


def test_noises_are_chosen_by_thumbnail_and_step(opened: Callable[..., Opened]) -> None:
    page = opened(page_of())
    page.page.locator(".wall button").nth(9).click()
    assert page.large == source(9, 2) and page.page.locator(".caption").inner_text() == "a red circle 9"
    assert page.page.locator(".wall [aria-pressed=true]").get_attribute("data-item") == "9"
    page.page.get_by_label("Next noise").click()
    assert page.large == source(10, 2)
    page.page.get_by_label("Previous noise").click()
    assert page.large == source(9, 2)


def test_what_is_wrong_is_said_in_words(opened: Callable[..., Opened]) -> None:
    page = opened(page_of(), "#item=6&method=none")
    assert page.page.locator(".frame").evaluate("e => e.classList.contains('wrong')")
    assert page.page.locator(".verdict .bad").inner_text().split() == ["texture", "wrong"]
    assert page.page.locator(".verdict > span").all_inner_texts()[0].startswith("shape")
    assert page.page.locator(".remark").inner_text() == "reads: solid"
    assert "(wrong texture)" in page.page.locator(".large").get_attribute("alt")
    assert page.page.locator(".grid .bad").all_inner_texts() == ["texture"] * 4  # 0, 3, 6 and 9 of the first twelve
    page.page.keyboard.press("2")
    assert not page.page.locator(".frame").evaluate("e => e.classList.contains('wrong')")
    assert page.page.locator(".verdict .bad").count() == 0


def test_hold_shows_the_other_method_only_while_held(opened: Callable[..., Opened]) -> None:
    page = opened(page_of())
    page.page.keyboard.down("c")
    assert page.large == source(3, 1) and page.page.locator(".held").inner_text() == "CFG"
    page.page.keyboard.up("c")
    assert page.large == source(3, 2) and page.page.locator(".held").is_hidden()
    page.page.locator(".large").hover()
    page.page.mouse.down()
    assert page.large == source(3, 1)
    page.page.mouse.up()
    assert page.large == source(3, 2)
    page.page.keyboard.press("2")
    assert page.page.locator(".hold").is_disabled()


def test_a_link_opens_a_view(opened: Callable[..., Opened]) -> None:
    page = opened(page_of(), "#item=11&method=cfg")
    assert page.large == source(11, 1)
    page.page.locator(".grid tbody tr").nth(0).locator("a").nth(5).click()
    assert page.large == source(5, 0) and page.page.url.endswith("#item=5&method=none")
    page.page.evaluate("location.hash = '#item=nowhere&method=nobody'")
    assert page.large == source(5, 0)


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_nothing_sticks_out(opened: Callable[..., Opened], width: int) -> None:
    page = opened(page_of(count=96), width=width, has_touch=width < 500, is_mobile=width < 500)
    page.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    wide, room = page.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room == width


CONTRAST = """(selector) => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => rgb.slice(0, 3).reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => numbers(getComputedStyle(e).backgroundColor);
  const behind = (e) => (ground(e)[3] === 0 ? behind(e.parentElement) : ground(e));
  return [...document.querySelectorAll(selector)].map((e) => {
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""
TEXTS = "h1, h2, h3, p, dt, dd, th, .numbers td, .half, .ok, .bad, kbd, button:enabled, summary, .brief, code, .place"


def test_dark_and_light_both_read_well(opened: Callable[..., Opened]) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page = opened(page_of(), "#item=6&method=none", color_scheme=scheme)
        ratios = page.page.evaluate(CONTRAST, TEXTS)
        assert len(ratios) > 60 and min(ratios) >= 4.5
        ground = "getComputedStyle(document.body).backgroundColor"
        grounds[scheme] = page.page.evaluate(ground)
        page.page.get_by_role("button", name="theme").click()
        grounds[f"toggled from {scheme}"] = page.page.evaluate(ground)
        stored = page.page.evaluate("localStorage.getItem('s2g-theme')")
        # Chromium writes the storage of file: pages to disk in its own time: the next visit gets the value from here.
        page.page.context.add_init_script(f"localStorage.setItem('s2g-theme', '{stored}')")
        page.page.reload()
        assert page.page.evaluate(ground) == grounds[f"toggled from {scheme}"]
    assert grounds["light"] != grounds["dark"]
    assert grounds["toggled from light"] == grounds["dark"] and grounds["toggled from dark"] == grounds["light"]


def test_text_is_shown_as_text(opened: Callable[..., Opened]) -> None:
    page = opened(page_of(caption=NASTY, label=NASTY, knob=NASTY))
    for key in ("1", "j", "3"):
        page.page.keyboard.press(key)
    page.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert page.page.locator(".caption").inner_text() == f"{NASTY} 4"
    assert page.page.locator("h1").inner_text() == f"Title {NASTY}" == page.page.title()
    assert page.page.locator(".numbers thead tr:last-child th").nth(2).inner_text() == NASTY
    assert page.page.locator(".knobs dd").first.inner_text() == NASTY
    assert page.page.locator(".large").get_attribute("alt") == f"{NASTY} 4, {NASTY}"
    assert page.page.locator("script:not(.data)").count() == 1 and page.page.locator("[onerror]").count() == 0


def test_every_image_has_a_text_and_every_control_a_name(opened: Callable[..., Opened]) -> None:
    page = opened(page_of())
    alts = page.page.locator("img:not([role=tab] img)").evaluate_all("all => all.map((e) => e.getAttribute('alt'))")
    assert len(alts) == 1 + 20 + 36 and all("a red circle" in alt and "," in alt for alt in alts)
    names = page.page.locator("button").evaluate_all(
        "all => all.map((e) => e.ariaLabel || e.textContent.trim() || e.querySelector('img')?.alt)"
    )
    assert all(names)


def test_without_script_the_results_are_there(opened: Callable[..., Opened]) -> None:
    page = opened(page_of(), java_script_enabled=False).page
    assert page.locator(".numbers tbody td").first.inner_text() == "81.2±4.2"
    assert page.locator(".grid img").count() == 36 and page.locator("noscript").inner_text().startswith("Flipping needs")


def test_a_sandboxed_frame_without_storage_still_works(opened: Callable[..., Opened], tmp_path: Path) -> None:
    outer = opened(page_of())
    (tmp_path / "frame.html").write_text('<iframe sandbox="allow-scripts" src="index.html" width="1200" height="700"></iframe>')
    outer.page.goto((tmp_path / "frame.html").as_uri())
    frame = outer.page.frame_locator("iframe")
    frame.get_by_role("tab").nth(0).click()
    assert frame.locator(".large").get_attribute("src") == source(3, 0)
    frame.get_by_role("button", name="theme").click()


def test_only_our_script_may_run_and_the_page_stays_small() -> None:
    page = page_of(count=96)
    html = demo_page(page)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in html or f"script-src 'sha256-{digest}'" in html
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html) and "url(" not in html
    heavy = data_uri(np.random.default_rng(0).bytes(2000))  # as large as the built-in model's images are
    items = [replace(item, shots=[replace(shot, src=heavy) for shot in item.shots]) for item in page.gallery.items]
    assert len(demo_page(replace(page, gallery=replace(page.gallery, items=items)))) < 2_000_000
