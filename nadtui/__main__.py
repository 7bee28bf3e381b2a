"""`python -m nadtui`: the same as the `nadtui` command."""

from nadtui.cli.main import main

main()
