"""Benchmarks: each folder holds the bench, its prompts, what it fetches, and its scorers."""
