"""What the s2g command does, as functions."""
