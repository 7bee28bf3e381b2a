"""Pictures for the terminal: charts, attention maps, triggers, in colors that people tell apart."""
