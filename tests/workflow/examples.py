"""The worked examples of docs/extending.md and other pages, so that tests run what the pages print."""

import re

from project import ROOT


def example(title: str, page: str = "docs/extending.md") -> dict[str, str]:
    """The blocks of one section by the file that the line above names."""
    section = (ROOT / page).read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^`([^`]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
