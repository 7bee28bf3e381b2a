"""The workbench: its screens and widgets, the form, what it remembers, how it steers runs."""
