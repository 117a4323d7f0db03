"""`python -m fauxley`, which is also how torchrun starts it."""

import sys

from fauxley.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
