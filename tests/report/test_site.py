"""The report in a real headless Chromium, from a disk: every page, its tables, its gallery, and text that is shown as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened
from rich.console import Console

from s2g.config.schema import CHECKOUT
from s2g.errors import UserError
from s2g.report.html.site import MARKER, write_site

NASTY = """<script>window.pwned=1</script>"'&<img src=x onerror="window.pwned=2">"""
RESULTS = CHECKOUT / "experiments" / "results"


def report(out: Path, folder: Path = CHECKOUT / "experiments", results: Path = RESULTS) -> Path:
    write_site(folder, results, str(out / "no runs"), out / "report", Console(quiet=True))
    return out / "report"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of what is committed."""
    return report(tmp_path_factory.mktemp("site"))


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Opened]]:
    """visit(path, width=1280, ...): the page from the disk, in a fresh profile; nothing may be said or fetched."""
    contexts, pages = [], []

    def open_(path: Path, width: int = 1280, **options: Any) -> Opened:
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **options))
        pages.append(Opened.at(contexts[-1], path.as_uri()))
        return pages[-1]

    yield open_
    for page in pages:
        page.check()
    for context in contexts:
        context.close()


def test_every_link_leads_to_a_page_that_is_there(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    assert {"index.html", "claims.html", "runs.html", "methods.html", "table1.html", "fig11.html"} <= {p.name for p in pages}
    for page in pages:
        text = page.read_text()
        for link in re.findall(r'href="([^"]*)"', text):
            place, _, anchor = link.partition("#")
            if link.startswith("data:") or "item=" in anchor:
                continue
            target = site / place if place else page
            assert target.exists(), (page.name, link)
            if anchor:
                assert f'id="{anchor}"' in target.read_text(), (page.name, link)


def test_the_overview_names_every_table_and_figure(site: Path, visit: Callable[..., Opened]) -> None:
    text = visit(site / "index.html").page.locator("main").inner_text()
    for name in (*(f"Table {n}" for n in range(1, 8)), *(f"Figure {n}" for n in range(1, 16))):
        assert name in text, name
    assert "not run" in text and "does not hold" in text and "n = 540" in text


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_sticks_out_or_complains(site: Path, visit: Callable[..., Opened], width: int) -> None:
    several = ["index", "claims", "runs", "methods", "table1", "table2", "fig7b", "fig5", "fig11", "fig15"]
    several.append(next(site.glob("run-*.html")).stem)
    for name in several:
        page = visit(site / f"{name}.html", width=width, is_mobile=width < 500, has_touch=width < 500)
        page.page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        wide, room = page.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= room == width, name


def test_tables_sort_by_click_and_by_key(site: Path, visit: Callable[..., Opened]) -> None:
    page = visit(site / "table2.html").page
    table = page.locator("table.sortable").first
    rows = table.locator("tbody tr")
    own = rows.all_inner_texts()

    def column(at: int) -> list[float]:
        texts = [row.locator("td").nth(at).inner_text() for row in rows.all()]
        return [float(text.replace("−", "-").partition("±")[0]) for text in texts if text.strip()]

    head = table.locator("button.sort").nth(3)
    head.click()
    assert column(3) == sorted(column(3)) and table.locator("[aria-sort=ascending]").count() == 1
    head.focus()
    page.keyboard.press("Enter")
    assert column(3) == sorted(column(3), reverse=True) and table.locator("[aria-sort=descending]").count() == 1
    page.keyboard.press("Enter")
    assert rows.all_inner_texts() == own and table.locator("[aria-sort]").count() == 0
    table.locator("button.sort").nth(1).click()  # differences: the compared row has none and stays below
    assert column(1) == sorted(column(1)) and rows.last.locator("th").inner_text() == "CFG"


def test_words_sort_as_words(site: Path, visit: Callable[..., Opened]) -> None:
    table = visit(site / "index.html").page.locator("table.sortable").first
    table.locator("button.sort").nth(2).click()
    words = [row.locator("td").nth(1).inner_text() for row in table.locator("tbody tr").all()]
    assert words == sorted(words, key=str.lower)


def test_the_gallery_of_a_figure_switches(site: Path, visit: Callable[..., Opened]) -> None:
    page = visit(site / "fig5.html")
    gallery = json.loads((RESULTS / "fig5-real.gallery.json").read_text())  # photographs come before synthetic captions
    tabs = page.page.get_by_role("tab")
    assert tabs.count() == len(gallery["methods"]) == 9
    for at in range(9):
        tabs.nth(at).click()
        shown = page.page.locator(".place").inner_text().removeprefix("noise ")
        item = next(item for item in gallery["items"] if item["name"] == shown)
        assert page.large == item["shots"][at]["src"]
    before = page.large
    page.page.keyboard.press("j")
    assert page.large != before


def test_theirs_and_ours_are_told_apart(site: Path, visit: Callable[..., Opened]) -> None:
    page = visit(site / "table1.html").page
    paper = page.locator("section[aria-labelledby=paper]")
    assert "31.55" in paper.locator("td.theirs").all_inner_texts()
    assert set(paper.locator("td.absent").all_inner_texts()) == {"not run"}
    assert "make table1 PROFILE=paper" in paper.inner_text()
    videos = visit(site / "table3.html").page.locator("section[aria-labelledby=paper]")
    assert set(videos.locator("td.absent").all_inner_texts()) == {"not run"}


def test_the_whole_site_can_be_walked_by_key(site: Path, visit: Callable[..., Opened]) -> None:
    page = visit(site / "index.html").page
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href') ?? document.activeElement.className"))
    assert {"claims.html", "table1.html", "fig15.html", "sort", "scroll"} <= reached


def test_text_is_shown_as_text(tmp_path: Path, visit: Callable[..., Opened]) -> None:
    folder, results = tmp_path / "experiments", tmp_path / "results"
    folder.mkdir()
    results.mkdir()
    (folder / "claims.yaml").write_text("{}\n")
    text = (CHECKOUT / "experiments" / "fig1.yaml").read_text()
    (folder / "fig1.yaml").write_text(
        text.replace("label: S²", f"label: {json.dumps(NASTY)}").replace(
            'title: "Figure 1: CFG and S² on the same noise"', f"title: {json.dumps(NASTY)}"
        )
    )
    stored = json.loads((RESULTS / "fig1-tiny.json").read_text())
    for row in stored["rows"]:
        row["label"] = row["command"] = NASTY
    (results / "fig1-tiny.json").write_text(json.dumps(stored))
    gallery = json.loads((RESULTS / "fig1-tiny.gallery.json").read_text())
    for item in gallery["items"]:
        item["caption"] = item["shots"][0]["remark"] = NASTY
    (results / "fig1-tiny.gallery.json").write_text(json.dumps(gallery))
    site = report(tmp_path, folder, results)
    for path in sorted(site.glob("*.html")):
        page = visit(path).page
        assert page.locator("script:not(.data)").count() == 1 and page.locator("[onerror]").count() == 0, path.name
    page = visit(site / "fig1.html").page
    assert page.locator("h1").inner_text() == NASTY == page.locator(".caption").inner_text()


@pytest.mark.slow("renders all results")
def test_only_an_older_report_is_written_over(tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "mine.txt").write_text("dear to me")
    with pytest.raises(UserError, match="not a report"):
        report(tmp_path)
    assert (out / "mine.txt").read_text() == "dear to me"
    (out / MARKER).touch()
    report(tmp_path)
    assert not (out / "mine.txt").exists() and (out / "index.html").exists()


def test_on_a_phone_the_first_column_stays_in_sight_and_the_verdict_is_next_to_it(site: Path, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    heads = page.locator(".claims thead th").all_inner_texts()
    assert [head.split()[0] for head in heads] == ["claim", "tiny", "real", "paper", "source"]
    box = page.locator(".scroll:has(.claims)")
    first = box.locator("tbody th").first
    left, width = first.bounding_box()["x"], first.bounding_box()["width"]
    assert width <= 0.42 * 390
    box.evaluate("box => { box.scrollLeft = 200; }")
    assert first.bounding_box()["x"] == left  # it sticks while the others move
    assert "gradient" in box.evaluate("box => getComputedStyle(box).backgroundImage")
    page.goto((site / "fig7a.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert 80 < page.locator(".numbers tbody th").first.bounding_box()["width"] <= 0.42 * 390
    plot, grid = page.locator(".plot img").first, page.locator(".plot.pictures img")
    assert "invert" in plot.evaluate("image => getComputedStyle(image).filter")  # a dark page has dark plots
    assert grid.count() == 0 or grid.first.evaluate("image => getComputedStyle(image).filter") == "none"
    context.close()
