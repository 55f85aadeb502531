"""Noise levels, solvers, and the loop that joins them to a guidance method."""
