"""Points of a Gaussian mixture against the mixture itself."""
