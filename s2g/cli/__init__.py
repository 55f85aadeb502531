"""The command line: `s2g` and `python run.py`."""
