"""Other programs: Weights & Biases."""
