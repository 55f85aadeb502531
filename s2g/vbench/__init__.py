"""VBench's protocol: prompts, file names, what is there, the official package's results, and their totals."""
