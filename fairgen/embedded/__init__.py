"""The embedded default: the drawn data set `birds` and the tiny diffusion model that ships with fairgen; and
how such a model is pretrained, on drawings or on photographs of faces.
"""
