"""The embedded default: the drawn data set `birds` and the tiny diffusion model that ships with fairgen."""
