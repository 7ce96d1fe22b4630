"""The one exception whose text is written for the user."""


class FairgenError(Exception):
    """A mistake that the user can mend: names the file, config key or group, what was expected, and what to do."""
