"""RESULTS.md: what is committed, shortened; a page of results says what each is, and what was not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from s2g.config.schema import CHECKOUT
from s2g.experiments import planning
from s2g.report.results_page import results_page

FOLDER, MEASURED = CHECKOUT / "experiments", CHECKOUT / "experiments/results"


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "plan", lambda *about: [])  # minutes
        yield results_page(FOLDER, MEASURED)


def test_the_committed_page_is_that_of_the_committed_results(page: str) -> None:
    before, _, after = page.partition("## Not run")
    committed, _, not_run = (CHECKOUT / "RESULTS.md").read_text().partition("## Not run")
    assert committed == before, "make results"
    assert [line.split("|")[2] for line in not_run.splitlines() if line.startswith("| T")] == [
        line.split("|")[2] for line in after.splitlines() if line.startswith("| T")
    ]


def test_every_result_stands_on_it_with_its_command_and_leads_to_its_file(page: str) -> None:
    files = sorted(MEASURED.glob("*-*.json"))
    stems = [file.stem for file in files if file.stem.count(".") == 0]
    assert len(stems) > 30
    for stem in stems:
        assert f"experiments/results/{stem}.md)" in page, stem


def test_its_links_lead_somewhere(page: str) -> None:
    links = [part.partition(")")[0] for part in page.split("](")[1:]]
    assert links and all(Path(CHECKOUT / link.partition("#")[0]).exists() for link in links)
