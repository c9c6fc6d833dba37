"""`python -m pgo` is the same as `pgo`."""

from pgo.cli import main

main()
