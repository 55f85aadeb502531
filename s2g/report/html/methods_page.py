"""The page that compares all guidance methods on the built-in models, from the results of `make methods`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2g.io.json_files import load_json
from s2g.report.control import control_paragraph
from s2g.report.methods_table import HOW_TO_READ, methods_table
from s2g.report.tables import Table


@dataclass(frozen=True)
class MethodsSection:
    """The table of one model, how to read it, what its negative control wins ("": it has none), and how it was made."""

    table: Table
    how_to_read: str
    control: str
    made: Mapping[str, Any]


def methods_section(path: Path) -> MethodsSection | None:
    """Return what was measured; None if nothing was."""
    if not path.exists():
        return None
    results = load_json(path)
    return MethodsSection(methods_table(results), HOW_TO_READ, control_paragraph(results), results["made"])
