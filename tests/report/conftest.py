"""A browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, chromium

from s2g.report.html.demo import DemoPage, demo_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """opened(page, hash="", width=1280, ...): the page, written to disk and opened from there in a fresh profile."""
    contexts, all_opened = [], []

    def open_(page: DemoPage, at: str = "", width: int = 1280, **options: Any) -> Opened:
        (tmp_path / "index.html").write_text(demo_page(page), encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **options))
        made = Opened.at(contexts[-1], f"{(tmp_path / 'index.html').as_uri()}{at}")
        all_opened.append(made)
        return made

    yield open_
    for made in all_opened:
        made.check()
    for context in contexts:
        context.close()
