"""Gaussian mixtures: the paper's toy data, known in closed form."""
