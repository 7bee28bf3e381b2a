"""What the workbench's screens are made of: one file for each panel, its drawing a pure function of what it shows."""
