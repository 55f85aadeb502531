"""A study in real headless Chromium: fourteen participants by keyboard, mouse and touch, some resumed, one on a phone."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, chromium
from studies_made import METHODS, study_of

from s2g.study.folder import Study
from s2g.study.preferences import preferences_of
from s2g.study.report import write_report
from s2g.study.specification import default_text
from s2g.study.votes import votes_of

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright").expect
uvicorn = pytest.importorskip("uvicorn", reason='the extra is not installed: pip install ".[study]"')

PEOPLE, PROMPTS, PHONE, HALF = 14, 10, 4, (2, 9)  # a participant on a phone, two who stop half way and come back


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@contextmanager
def served(study: Study, port: int = 0) -> Iterator[str]:
    """The address of a study that is served by a thread, at a free port unless one is given."""
    from s2g.study.server import app_of

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was served a moment ago
        listening.bind(("127.0.0.1", port))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app_of(study), access_log=False, log_level="warning", server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(30)


def vote(page: Any, number: int, rng: random.Random) -> dict[str, list[int]]:
    """Choose one or two pictures for each criterion, by keys, clicks or touch; return the places chosen."""
    chosen: dict[str, list[int]] = {}
    fields = page.locator(".criterion")
    for at in range(fields.count()):
        name = fields.nth(at).locator("input").first.get_attribute("name")
        chosen[name] = sorted(rng.sample(range(5), rng.choice((1, 1, 2))))
        if at and number % 3 == 0:
            page.keyboard.press("ArrowDown")
        for place in chosen[name]:
            if number == PHONE:
                fields.nth(at).locator("label").nth(place).tap()
            elif number % 3 == 0:
                page.keyboard.press(str(place + 1))
            else:
                fields.nth(at).locator("label").nth(place).click()
    return chosen


def take_part(
    browser: Any, address: str, study: Study, number: int, pages: int, cast: dict[tuple[int, int, str], list[str]]
) -> None:
    """Open a personal link in a fresh browser profile and answer `pages` pages, noting which shots were chosen."""
    phone = number == PHONE
    size = {"width": 390, "height": 844} if phone else {"width": 1300, "height": 900}
    context = browser.new_context(
        viewport=size, has_touch=phone, is_mobile=phone, color_scheme="dark" if number % 2 else "light"
    )
    token, rng = study.answers.everybody()[number - 1].token, random.Random(100 * number + pages)
    opened = Opened.at(context, f"{address}/p/{token}")
    page = opened.page
    page.get_by_role("link", name=re.compile("Begin|Go on")).click()
    for _ in range(pages):
        page.wait_for_url(re.compile(r"/\d+$"))
        place = int(page.url.rpartition("/")[2])
        asked = study.answers.page(number, place)
        assert asked is not None
        shown = [re.search(r"/m/(\w+)\.png", one.get_attribute("src"))[1] for one in page.locator(".shot img").all()]  # type: ignore[index]
        assert shown == list(asked.shots)
        assert page.locator("h1").inner_text() == study.material.trials[asked.trial].prompt
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name, places in vote(page, number, rng).items():
            cast[number, asked.trial, name] = [asked.shots[at] for at in places]
        before = page.url
        if number % 3 == 0:
            page.keyboard.press("Enter")
        else:
            page.get_by_role("button", name="Save").click()
        page.wait_for_url(lambda url, before=before: url != before)
    assert opened.said == []
    assert {url for url in opened.asked if not url.startswith((f"{address}/", "data:", "blob:"))} == set()
    context.close()


@pytest.mark.slow("fourteen participants in a browser")
@pytest.mark.parametrize("video", [False, True], ids=["images", "videos"])
def test_fourteen_people_vote_and_the_report_counts_what_they_chose(browser: Any, tmp_path: Path, video: bool) -> None:
    cast: dict[tuple[int, int, str], list[str]] = {}
    with study_of(tmp_path, PROMPTS, PEOPLE, video) as study, served(study) as address:
        for number in HALF:
            take_part(browser, address, study, number, 4, cast)
        for number in range(1, PEOPLE + 1):
            take_part(browser, address, study, number, PROMPTS - 4 if number in HALF else PROMPTS, cast)
        assert all(one.answered == PROMPTS for one in study.answers.everybody())
        stored = {
            (one.participant, one.trial, name): list(shots)
            for one in study.answers.everything()
            for name, shots in one.choices.items()
        }
        assert stored == cast and len(cast) == PEOPLE * PROMPTS * 3
        counts = Counter(
            (name, METHODS[study.material.method_of[shot]]) for (_, _, name), shots in cast.items() for shot in shots
        )
        found = preferences_of(votes_of(study))
        for name in ("detail", "color", "alignment"):
            assert found.votes[name] == [counts[name, method] for method in METHODS]
            total = sum(found.votes[name])
            for method, share in zip(METHODS, found.shares[name], strict=True):
                assert share.value == pytest.approx(counts[name, method] / total) and share.low is not None
        write_report(study, tmp_path / "report")


def test_a_page_waits_for_the_least_time_and_for_every_answer(browser: Any, tmp_path: Path) -> None:
    text = default_text().replace("least_seconds: 0", "least_seconds: 4").replace("choice: several", "choice: one")
    with study_of(tmp_path, text=text) as study, served(study) as address:
        context = browser.new_context(viewport={"width": 1300, "height": 900})
        opened = Opened.at(context, f"{address}/p/{study.answers.everybody()[0].token}/1")
        page, save = opened.page, opened.page.locator("[type=submit]")
        assert save.is_disabled() and re.fullmatch(r"Save and go on \([1-4] s\)", save.inner_text())
        page.keyboard.press("3")
        page.keyboard.press("2")  # one choice: the second replaces the first
        expect(save).to_be_enabled()
        save.click()
        assert "Please answer: Color consistency" in page.locator(".say").inner_text()
        page.keyboard.press("5")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/2$"))
        (answer,) = study.answers.everything()
        asked = study.answers.page(1, 1)
        assert asked is not None and answer.seconds >= 3.5
        places = {name: [asked.shots.index(shot) for shot in shots] for name, shots in answer.choices.items()}
        assert places == {"detail": [1], "color": [4], "alignment": [0]}
        page.locator(".back").click()
        page.wait_for_url(re.compile("/1$"))
        assert page.locator("[name=detail]:checked").get_attribute("value") == "1"
        page.locator(".frame").nth(2).click()
        assert page.locator(".larger .which").inner_text() == "C"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.locator(".larger .which").inner_text() == "A"
        page.keyboard.press("Escape")
        assert not page.locator(".larger").is_visible()
        assert opened.said == []
        context.close()


def test_a_vote_waits_for_a_server_that_is_away(browser: Any, tmp_path: Path) -> None:
    with study_of(tmp_path) as study:
        context = browser.new_context(viewport={"width": 1300, "height": 900})
        with served(study) as address:
            page = Opened.at(context, f"{address}/p/{study.answers.everybody()[0].token}/1").page
            for key in ("1", "ArrowDown", "2", "ArrowDown", "3"):
                page.keyboard.press(key)
        page.keyboard.press("Enter")
        expect(page.locator(".say")).to_contain_text("Not saved yet")
        assert study.answers.everything() == []
        with served(study, int(address.rpartition(":")[2])):
            page.wait_for_url(re.compile("/2$"))
            assert len(study.answers.everything()) == 1
        context.close()
