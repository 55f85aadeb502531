"""Stored runs: items, records, locks, verification and repair."""
