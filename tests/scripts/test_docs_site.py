"""The documentation site: built without warnings, its links hold, its search works from disk, and it asks no other host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from browsing import Opened, chromium

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow("builds the site, half a minute")
REFERENCE = re.compile(r'(?:href|src)="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(out)],  # strict: a warning fails
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr[-2000:]
    return out


def test_every_link_leads_to_a_file_of_the_site(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    for page in pages:
        if page.name == "404.html":  # its links are those of a server's root
            continue
        for link in REFERENCE.findall(page.read_text()):
            path, _, anchor = link.partition("#")
            if not path or path.startswith(("http", "data:", "javascript:", "mailto:")):
                continue
            target = (page.parent / unquote(path)).resolve()
            assert target.exists(), f"{page.relative_to(site)}: {link}"
            if anchor and target.suffix == ".html":
                assert re.search(rf'(?:id|name)="{re.escape(unquote(anchor))}"', target.read_text()), f"{page.name}: {link}"


@pytest.fixture(scope="module")
def opened(site: Path) -> Iterator[Opened]:
    with chromium() as browser:
        yield Opened.at(browser.new_context(viewport={"width": 1300, "height": 900}), (site / "index.html").as_uri())


@pytest.mark.parametrize(
    ("term", "page"), [("renoise", "guidance.html"), ("HunyuanDiT", "families.html"), ("Krippendorff", "study.html")]
)
def test_a_search_from_disk_finds_the_page(opened: Opened, term: str, page: str) -> None:
    field: Any = opened.page.locator("input.md-search__input")
    field.click()
    field.fill("")
    opened.page.keyboard.type(term)
    opened.page.locator(f'.md-search-result__link[href*="{page}"]').first.wait_for(state="attached", timeout=30_000)
    opened.check()
