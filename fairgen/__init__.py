"""fairgen: worst-group accuracy from diffusion-generated, group-balanced training images."""

__version__ = "0.1.0"
