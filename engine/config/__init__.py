"""A run's configuration: its fields, the layers it is put together from, presets and recipes. Free of torch."""
