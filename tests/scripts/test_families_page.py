"""The page of families is what the installed diffusers and the tests' networks say."""

from __future__ import annotations

import families_page
import pytest

from tests.diffusers_networks import NETWORKS


def test_every_transformer_of_diffusers_has_a_line() -> None:
    text = families_page.PAGE.read_text()
    names = [name for name, _ in families_page.classes()]
    assert len(names) > 70 and set(NETWORKS) <= set(names)
    assert all(f"| {name} | " in text for name in names)
    assert all(f"| {name} | works" in text for name in NETWORKS)


@pytest.mark.slow("a network of each family")
def test_the_committed_page_is_the_generated_one() -> None:
    assert families_page.page() == families_page.PAGE.read_text()
