"""Deliberate liars: each breaks one promise, in the line marked `# lie`, and keeps all others."""
