"""What is told of a training while it runs: curves beside its artifact, sample images, trackers.

Nothing imports this wing: a job loads it by its name (`core.callback`), so that it is in no fingerprint.
"""
