"""The built-in world: 32x32 images of one shape on plain grey, with exact ground truth (docs/shapes.md)."""
