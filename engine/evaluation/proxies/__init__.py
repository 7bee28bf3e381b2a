"""Triggers made up for a suspect whose own nobody knows: which class stands out, and what sends images to it."""
