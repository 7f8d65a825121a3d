"""The worked examples of docs/extending.md, so that tests run what the page prints."""

import re

from project import ROOT


def example(title: str) -> dict[str, str]:
    """The blocks of one section by the file that the line above names."""
    page = (ROOT / "docs/extending.md").read_text()
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^`([^`]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
