"""The built-in data sets, with exact ground truth or real images, and their readers."""
