"""`python -m nadtui`: the same as the `nadtui` command."""

from nadtui.cli import main

main()
