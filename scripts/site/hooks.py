"""Pages of the site that are made when it is built: from the commands, from the modules, from the files of the root."""

import re
from pathlib import Path

from commands_page import commands_page
from layout_page import layout_page, module_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parents[2]
_DECISIONS = _ROOT / "docs" / "decisions"
_FROM_THE_ROOT = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the lists that the navigation leaves empty."""
    decisions = sorted(path.relative_to(config.docs_dir).as_posix() for path in _DECISIONS.glob("*.md"))
    found = {"Decisions": decisions, "Every module": list(module_pages())}
    for sections in config.nav or []:
        for pages in sections.values():
            for entry in pages if isinstance(pages, list) else []:
                entry.update({title: found[title] for title in entry if title in found})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to those in docs/."""
    pages = {page: _as_page(_ROOT / name) for name, page in _FROM_THE_ROOT.items()}
    pages["reference/cli.md"] = commands_page()
    pages |= module_pages()
    pages["layout.md"] = layout_page()
    for path, text in pages.items():
        if (there := files.get_file_from_path(path)) is not None:
            files.remove(there)
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Let pages in docs/ lead to files of the root, which are pages of the site, too."""
    for name, page in _FROM_THE_ROOT.items():
        markdown = re.sub(rf"\]\((\.\./){name}", rf"]({page}", markdown)
    return markdown


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Refuse pages that would fetch something from the network."""
    if found := re.search(r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//[^>]*>", output):
        raise PluginError(f"{page.file.src_uri} fetches from the network: {found[0]}")
    return output


def _as_page(path: Path) -> str:
    """A file of the root, with its links as they are from docs/."""
    text = path.read_text(encoding="utf-8").replace("](docs/", "](")
    for name, page in _FROM_THE_ROOT.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text.replace("](decisions)", "](decisions/001-polyphase-convolution.md)")
