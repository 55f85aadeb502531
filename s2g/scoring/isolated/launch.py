"""Started in an isolated environment by s2g/scoring/isolated/child.py: run the script, and end when the parent ends.

Standard library only. launch.py CHILD ITEMS VALUES SETTINGS, with a pipe from the parent as standard input.
"""

import os
import runpy
import sys
import threading


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written to it: it ends when the parent does
    os._exit(1)


threading.Thread(target=_end_with_parent, daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
