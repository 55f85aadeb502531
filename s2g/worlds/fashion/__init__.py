"""Fashion-MNIST: real photographs of clothes, the network trained on them, and the classifier that reads its samples."""
