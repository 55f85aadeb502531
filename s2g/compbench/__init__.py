"""T2I-CompBench: its prompts, its questions and BLIP-VQA's answers (docs/scores.md)."""
