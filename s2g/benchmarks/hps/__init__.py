"""HPSv2.1 on the HPSv2 prompts."""
