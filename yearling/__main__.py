"""`python -m yearling` is the `yearling` command."""

from yearling.cli.main import main

main()
