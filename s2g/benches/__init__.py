"""Benches: which items are made, and what is measured of them."""
