"""One adapter per model family, all of the same shape; signs and time are flipped at their door and nowhere else."""
