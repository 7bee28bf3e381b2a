"""Sweeps as documents: a format is one file here and one entry in `formats`."""
