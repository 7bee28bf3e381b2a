"""The record of a run on disk: written by one process, read and folded by any number of others. Free of torch."""
