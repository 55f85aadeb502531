"""HPSv2.1: its prompts, its scorer, the official package beside it."""
