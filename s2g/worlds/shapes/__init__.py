"""The built-in world of shapes: images, captions and videos."""
