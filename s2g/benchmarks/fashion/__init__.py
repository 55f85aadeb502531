"""Photographs of clothes: the built-in bench of real images."""
