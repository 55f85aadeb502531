"""An isolated environment for tests that runs this Python: its folder, and the note that it is built."""

from __future__ import annotations

import sys
from pathlib import Path

from s2g.scoring.isolated.environment import Isolated


def isolated_here(folder: Path, child: str, *pins: str) -> Isolated:
    """Describe an environment in a new folder, with its interpreter in the cache (S2G_CACHE); return it."""
    folder.mkdir()
    (folder / "requirements.txt").write_text("\n".join(("# for a test", *pins)) + "\n")
    (folder / "python-version").write_text("3.11\n")
    (folder / "child.py").write_text(child)
    made = Isolated(folder)
    made.interpreter.parent.mkdir(parents=True)
    made.interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    made.interpreter.chmod(0o755)
    (made.place / "built.json").write_text("{}")
    return made
