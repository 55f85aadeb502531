"""Render self-contained pages: one file each, opened from disk, mail or a web server; nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

SCRIPTS = ("videos.js", "theme.js", "page.js")  # joined into one script
Pairs = Sequence[tuple[str, str]]  # names and values, in the order shown


def render(template: str, **parts: Any) -> str:
    """Return a template that extends base.html.j2 as HTML; its policy allows our script alone, by hash."""
    environment = templates()
    source = "".join(environment.loader.get_source(environment, name)[0] for name in SCRIPTS)  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return environment.get_template(template).render(script=source, script_hash=f"sha256-{digest}", **parts)


@cache
def templates() -> Environment:
    """Return the templates of s2g/report/html/templates, which escape all text."""
    environment = Environment(
        loader=PackageLoader("s2g.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # marks keep their order
    return environment
