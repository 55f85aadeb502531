"""Distances of sets of images: the networks whose features they are taken in, the references, and the numbers."""
