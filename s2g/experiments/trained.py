"""What may stand in a results table: runs of weights that somebody trained."""

from __future__ import annotations

from s2g.engine.run import Run
from s2g.errors import UserError


def trained(run: Run) -> Run:
    """The run itself; UserError if any of its weights are random, whose numbers a reader would take for results."""
    if run.random:
        raise UserError(
            f"model = {run.model.name}: random weights never enter a results table",
            todo="give trained weights (model.weights, model.vae, guidance.weak); python run.py runs random ones",
        )
    return run
