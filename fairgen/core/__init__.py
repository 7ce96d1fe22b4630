"""What every wing stands on and that knows no method: jobs, settings, seeds, devices, files and what they
record.
"""
