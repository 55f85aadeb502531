"""Guidance inside diffusers' own pipelines."""
