"""VBench: prompts, sixteen dimensions, totals."""
