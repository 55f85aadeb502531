"""Values as their keys want them: a truth value is no number, and a number no truth value."""

from __future__ import annotations

from typing import Any

import pytest

from s2g.config.coerce import coerce
from s2g.config.own_modules import import_own_modules
from s2g.config.schema import ExecutorConfig
from s2g.errors import UserError


@pytest.mark.parametrize(
    ("kind", "value"), [(bool, 1), (bool, "true"), (bool, None), (int, True), (float, False), (str, True), (int, 1.5)]
)
def test_what_is_of_another_kind_is_refused(kind: type, value: Any) -> None:
    with pytest.raises(UserError, match="key = "):
        coerce(kind, value, "key")


def test_what_is_of_the_kind_is_kept() -> None:
    assert coerce(bool, False, "key") is False and coerce(int, 2.0, "key") == 2 and coerce(float, 2, "key") == 2.0


@pytest.mark.parametrize("amount", [True, "1", -1, None])
def test_resources_are_amounts(amount: Any) -> None:
    with pytest.raises(UserError, match=r"executor\.(resources|scoring)\.GPU"):
        ExecutorConfig(resources={"GPU": amount})
    with pytest.raises(UserError, match=r"executor\.scoring\.GPU"):
        ExecutorConfig(scoring={"GPU": amount})
    assert ExecutorConfig(resources={"GPU": 0.5}, scoring={"GPU": 0}).resources == {"GPU": 0.5}


def test_an_option_is_known_by_its_letters() -> None:
    option = "".join(["--", "with"])  # what a shell hands over is no constant of ours
    with pytest.raises(UserError, match="--with: no file"):
        import_own_modules(["num=2", option])
