"""Scoring of stored items."""
