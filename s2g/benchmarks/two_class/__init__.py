"""Two classes of real images in feature space (paper Figure 4)."""
