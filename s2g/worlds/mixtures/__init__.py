"""Gaussian mixtures, where the truth is known."""
