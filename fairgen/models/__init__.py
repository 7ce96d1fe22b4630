"""The only modules that name or load checkpoints, one per family."""
