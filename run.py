"""One run: python run.py model=tiny_sit guidance=s2 bench=shapes. See README.md and configs/run.yaml."""

import sys

from s2g.app import main

if __name__ == "__main__":
    sys.exit(main())
