"""Metrics of stored items, and the statistics of comparing them."""
