"""Studies: quantities computed from networks instead of samples."""
