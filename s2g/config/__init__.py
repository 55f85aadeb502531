"""Configuration: schema, composition, registries, weights on disk."""
