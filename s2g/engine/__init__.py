"""Runs: planned, executed, stored, resumed, and accounted for."""
