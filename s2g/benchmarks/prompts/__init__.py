"""Your own prompts."""
