"""Parts shared by several model families."""
