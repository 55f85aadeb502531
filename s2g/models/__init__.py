"""One adapter per model family, all with the same interface; only adapters convert signs and time."""
