"""Two classes of real images: handwritten digits, CIFAR-10."""
