"""ImageNet 256x256 by the ADM evaluation protocol."""
