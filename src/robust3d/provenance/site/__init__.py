"""A static site of all that is built: every number beside what it was made from, readable without a network."""

from collections.abc import Mapping
from pathlib import Path

__all__ = ["build_site"]


def build_site(results: Path = Path("results"), states: Mapping[str, str] | None = None) -> Path:
    """Write the site of a results folder, whole or not at all.

    Args:
        results: the folder, `results` or a copy of it. The site is made from its tables, figures and records alone, so
            the same results give the same bytes.
        states: what is wrong with each target for a study, empty where nothing is; none: no study is asked.

    Returns:
        Its first page, ``<results>/site/index.html``, which opens from disk.

    Raises:
        UserError: there is no such folder, or nothing has been made in it yet.
    """
    from robust3d.provenance.site.build import build  # only this needs the template library

    return build(results, states or {})
