"""What is done while the rules are read: the config checked, settings, artifacts, lineages, preflight. No job
imports it.
"""
