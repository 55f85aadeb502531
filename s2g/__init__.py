"""S2G: S2-Guidance and the bench on which training-free guidance of diffusion models is measured."""

__version__ = "0.1.0"
