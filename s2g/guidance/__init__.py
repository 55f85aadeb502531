"""Guidance methods: which branches a step needs, and how their predictions combine. Knows nothing of models."""
