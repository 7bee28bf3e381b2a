"""Files on disk: where they live, weights that cannot execute code, and the cache of what took long to make."""
