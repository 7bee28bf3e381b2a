"""Runs as readers see them: hosted or followed, listed, filtered, digested, compared, told."""
