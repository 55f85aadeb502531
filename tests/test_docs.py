"""Pages for people: every link leads somewhere, and what they say of the code is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from s2g.config.schema import CHECKOUT
from s2g.engine.bench import MeasuredBench
from s2g.experiments.runner import resolve_rows
from s2g.experiments.specification_file import read_experiment
from s2g.models.base import Denoiser
from s2g.scoring.file_scoring import FileBench
from s2g.store.retention import FeatureBench

PAGES = sorted([CHECKOUT / "README.md", *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("experiments/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"\[`([A-Za-z_.]+)`\]\(\.\./(s2g/[^)]+\.py)\)")  # [`function`](../s2g/file.py)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_a_page_names_is_defined_in_the_file_it_links(page: Path) -> None:
    for name, file in NAMED.findall(page.read_text()):
        tree = ast.parse((CHECKOUT / file).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert name.split(".")[-1] in defined, f"{name} in {file}"


def test_one_image_passes_through_at_most_twelve_files() -> None:
    text = (CHECKOUT / "docs" / "how-one-image-is-made.md").read_text()
    assert 0 < len({target for target in LINK.findall(text) if target.startswith("../s2g/")}) <= 12


def listed_members(page: str) -> set[str]:
    """Return the names in the first column of a page's tables."""
    rows = [line.split("|")[1] for line in (CHECKOUT / "docs" / page).read_text().splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_the_page_on_models_lists_every_member_of_a_denoiser() -> None:
    assert {name for name in vars(Denoiser) if not name.startswith("_")} <= listed_members("add-a-model.md")


@pytest.mark.parametrize("base", [MeasuredBench, FeatureBench, FileBench])
def test_the_page_on_benchmarks_lists_every_required_member(base: type) -> None:
    assert base.__abstractmethods__ <= listed_members("add-a-benchmark.md")  # type: ignore[attr-defined]


def test_the_example_on_the_page_on_tables_is_a_table_of_the_runs_it_stands_for(tmp_path: Path) -> None:
    text = re.search(r"```yaml\n(.*?)```", (CHECKOUT / "docs" / "add-a-table.md").read_text(), re.DOTALL)[1]  # type: ignore[index]
    (tmp_path / "table_mine.yaml").write_text(text)
    profile = read_experiment(tmp_path / "table_mine.yaml").profiles["tiny"]
    rows = resolve_rows(profile, None)
    typed = [
        (spec.row, profile.reference(spec.row), run.name, run.num)
        for spec, run in zip(rows.specs, rows.runs.values(), strict=True)
    ]
    assert typed == [
        ("cfg@1.5", "cfg@2", "cfg", 64),
        ("cfg@2", "cfg@2", "cfg", 64),
        ("s2@1.5", "cfg@1.5", "s2", 64),
        ("s2@2", "cfg@2", "s2", 64),
    ]  # fmt: skip


@pytest.mark.parametrize(("page", "most"), [("add-a-model.md", 3), ("add-a-benchmark.md", 4)])
def test_little_has_to_be_touched(page: str, most: int) -> None:
    rows = re.findall(r"^\| `((?:s2g|configs)/[^`]+)` \|", (CHECKOUT / "docs" / page).read_text(), re.MULTILINE)
    assert 0 < len(rows) <= most
