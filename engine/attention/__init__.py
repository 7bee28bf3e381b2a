"""Attention maps: how they are computed, which of them are recorded, and how recorded ones are computed anew."""
