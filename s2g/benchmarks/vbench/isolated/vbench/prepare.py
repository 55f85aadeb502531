"""detectron2, which object class, multiple objects, color and spatial relationship need: it is published as source alone.

At a commit, built against the torch that is installed here; a compiler is needed. Run once, with the environment's own Python.
"""

import subprocess
import sys

COMMIT = "a1ce2f9"
SOURCE = f"git+https://github.com/facebookresearch/detectron2.git@{COMMIT}"
subprocess.run([sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", SOURCE], check=True)
