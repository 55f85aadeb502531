"""What is computed of networks themselves, where the truth is known: nothing is sampled, nothing stored."""
