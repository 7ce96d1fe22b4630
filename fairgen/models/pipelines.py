"""The architectures of base models that fairgen knows, for what loads them and for what only looks at their
files.
"""

# pipeline classes with the suffixes of their tokenizers and text encoders
ARCHITECTURES = {"StableDiffusionPipeline": ("",), "StableDiffusionXLPipeline": ("", "_2")}
