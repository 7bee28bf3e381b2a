"""The command line: one file a command, and the streams they write to."""
