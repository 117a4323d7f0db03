"""The page with a line for each module, made from the modules' docstrings, and the reference of all modules.

python scripts/site/layout_page.py           writes docs/layout.md
python scripts/site/layout_page.py --check   fails if docs/layout.md says anything else
"""

import ast
import re
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SOURCE = _ROOT / "src" / "fauxley"
_PAGE = _ROOT / "docs" / "layout.md"


def modules() -> list[Path]:
    """All modules, a package's own files before its sub-packages'; empty `__init__.py` are none."""
    found = [path for path in _SOURCE.rglob("*.py") if path.name != "__init__.py" or path.stat().st_size]
    return sorted(found, key=lambda path: (path.parent.parts, path.name != "__init__.py", path.name))


def purpose(path: Path) -> str:
    """What a module holds: the first sentence of its docstring, or nothing."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[a-z0-9)`'\"\]]\.) (?=[A-Z`(])|:$", paragraph, maxsplit=1)[0]


def layout_page() -> str:
    """The page of all modules as Markdown."""
    parts = [
        "# Layout of the code",
        """One line for each module, from its docstring. Imports point one way only;
[How it is built](architecture.md#packages) says which, and why.""",
    ]
    package = None
    for path in modules():
        if path.parent != package:
            package = path.parent
            name = ".".join(package.relative_to(_SOURCE.parent).parts)
            head = package / "__init__.py"
            parts.append(f"\n## {name}\n\n{purpose(head)}\n" if purpose(head) else f"\n## {name}\n")
        if path.name != "__init__.py":
            parts.append(f"- `{path.relative_to(_SOURCE).as_posix()}`: {purpose(path)}")
    return re.sub(r"\n{3,}", "\n\n", "\n".join([parts[0], "", *parts[1:]])) + "\n"


def module_pages() -> dict[str, str]:
    """The reference of all modules: a page for each package, by path, as Markdown with the marks of mkdocstrings."""
    pages: dict[str, str] = {}
    for path in modules():
        package, name = (
            ".".join(each.relative_to(_SOURCE.parent).parts) for each in (path.parent, path.with_suffix(""))
        )
        page = f"reference/modules/{package}.md"
        pages.setdefault(page, f"# {package}\n\n{purpose(path.parent / '__init__.py')}\n")
        if not path.name.startswith("__"):
            pages[page] += f"\n::: {name}\n"
    return pages


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        _PAGE.write_text(layout_page(), encoding="utf-8")
    elif _PAGE.read_text(encoding="utf-8") != layout_page():
        sys.exit("docs/layout.md is not what the docstrings say; `make format` writes it anew")
