"""Scorers that cannot live with us: each in a folder here, with pinned requirements, a Python version and one child script."""
