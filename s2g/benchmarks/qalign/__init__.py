"""Q-Align, used by several benchmarks."""
