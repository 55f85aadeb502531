"""What the ADM evaluator's protocol for ImageNet needs besides formulas: the network, the reference, batches as files."""
