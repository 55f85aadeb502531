"""`s2g.load_results("table2")`: what was measured for a table or figure, from its committed file."""

from __future__ import annotations

from pathlib import Path

from s2g.config.schema import CHECKOUT
from s2g.errors import UserError
from s2g.experiments.results import Results

RESULTS = CHECKOUT / "experiments" / "results"


def load_results(name: str, profile: str = "tiny", folder: str | Path | None = None) -> Results:
    """Return the results of a table or figure, by default those committed in the checkout.

    Its `rows` hold a cell with an interval for each column, and the command that makes the row. UserError for an unknown name
    or a file of another version.
    """
    place = RESULTS if folder is None else Path(folder)
    path = place / f"{name}-{profile}.json"
    if not path.is_file():
        known = sorted(p.stem for p in place.glob("*-*.json") if p.stem.count(".") == 0)
        raise UserError(
            f"load_results: there is no {path}",
            allowed=", ".join(known) or "none: results are in the checkout, not in the installed package",
            todo='load_results("table2", profile="tiny"), or folder=… of `s2g table NAME --out FOLDER`',
        )
    return Results.load(path)
