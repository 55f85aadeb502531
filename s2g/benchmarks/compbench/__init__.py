"""T2I-CompBench: colors, shapes and textures by BLIP-VQA."""
