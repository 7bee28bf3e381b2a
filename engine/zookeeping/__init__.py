"""The zoo's keeping: which suspects there are to be, how they are made, and whether they still are what they were."""
