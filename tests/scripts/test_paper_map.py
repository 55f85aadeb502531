"""The map of the paper is what experiments and results say, and names files that are there."""

from __future__ import annotations

import paper_map


def test_the_committed_page_is_the_generated_one() -> None:
    assert paper_map.PAGE.read_text() == paper_map.page()


def test_every_numbered_equation_of_the_paper_is_on_it() -> None:
    named = set()
    for where, _, file, _ in paper_map.EQUATIONS:
        assert not file or (paper_map.ROOT / file).is_file()
        if where.startswith("Eq. "):
            for part in where.removeprefix("Eq. ").removesuffix(", Algorithm 1").split(", "):
                first, _, last = part.partition(" to ")
                named |= set(range(int(first), int(last or first) + 1))
    assert named == set(range(1, 30))
