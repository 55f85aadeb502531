"""Guidance methods published beside and after S2: what it is to be compared with. One file each, as above."""
