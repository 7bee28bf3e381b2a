"""Erased, or only asleep? Four measurements of a purified model for whoever knows the trigger, each beside the same of
a clean model: what a model does under attack once more says what ASR alone does not.

One file each; `engine.running.verifying.TESTS` is all that has to know a new one.
"""
