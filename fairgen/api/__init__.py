"""What `fairgen.open` gives: a data set's results for a notebook, as dataclasses and pandas tables.

Nothing of the workflow imports this wing.
"""
