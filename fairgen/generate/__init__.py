"""Generators and their images: prior, adapt, adapt_shared, sample, score, filter."""
