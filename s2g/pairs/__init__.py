"""Figure 4's two classes of real images: scikit-learn's handwritten digits, which need no download, and CIFAR-10."""
