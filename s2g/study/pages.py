"""Pages of a study as HTML, in the report's look; style and script are files of their own, so that the policy can be strict."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader

from s2g.report.html.page import templates

LETTERS = "ABCDEFGHI"
SCRIPTS = ("videos.js", "theme.js", "study.js")


def page(template: str, **parts: Any) -> str:
    """Return a template of s2g/study/templates as HTML."""
    return environment().get_template(template).render(letters=LETTERS, **parts)


@cache
def style() -> str:
    """Return the style of all pages: the report's, then what only a study has."""
    return environment().get_template("page.css.j2").render() + _source("study.css")


@cache
def script() -> str:
    """Return the script of all pages: the report's videos and theme button, then the study's own."""
    return "".join(map(_source, SCRIPTS))


@cache
def environment() -> Environment:
    """Return the report's environment with the study's templates before its own."""
    own = templates().overlay(loader=ChoiceLoader([PackageLoader("s2g.study", "templates"), templates().loader]))  # type: ignore[list-item]
    own.filters = {**own.filters, "minute": _minute}
    return own


def _minute(seconds: float | None) -> str:
    return "–" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _source(name: str) -> str:
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]
