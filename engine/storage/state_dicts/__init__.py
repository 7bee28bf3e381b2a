"""State dicts as people save them: where in a file they are, what stands before their names and beside them."""
