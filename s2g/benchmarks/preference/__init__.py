"""Preference scores of images with their prompts: PickScore, ImageReward, MPS, HPSv3."""
