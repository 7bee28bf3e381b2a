"""Pickles of strangers, read without executing anything that is in them.

A pickle is a program. It is carried out here by a machine of our own that knows plain values, containers and the few
calls by which torch and numpy write tensors down; whatever else it names becomes an inert stub, and what is known to
run things is refused by name. Nothing is imported or called by a name that stands in a file.
"""
