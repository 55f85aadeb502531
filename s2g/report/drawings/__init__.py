"""Drawings, one kind per file."""
