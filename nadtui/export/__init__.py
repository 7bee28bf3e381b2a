"""Runs and comparisons as documents for others: a format is one file here and one entry in `formats`."""
