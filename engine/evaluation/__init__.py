"""What is measured of a model, and of a trigger."""
