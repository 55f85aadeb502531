"""Files, caches, hashes and the Hugging Face hub."""
