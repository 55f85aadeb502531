"""DPG-Bench: dense prompts, by yes/no questions to mPLUG."""
