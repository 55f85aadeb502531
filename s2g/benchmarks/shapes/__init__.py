"""The built-in world: classes, captions, videos."""
