"""`python -m seqscale`."""

from seqscale.cli import main

main()
