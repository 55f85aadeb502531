"""One run: python run.py model=tiny_sit guidance=s2 bench=shapes. See README.md and configs/run.yaml."""

import sys

from s2g.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
