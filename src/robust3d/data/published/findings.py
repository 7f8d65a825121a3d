"""What a check of a data set found, and how it is printed."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robust3d.data.published.agreement import FITS

_SHOWN = 5  # findings of a kind that are spelt out


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or (not `is_error`) that some readers trip over.

    Attributes:
        kind: findings of one kind are shown together.
        where: an object or a file.
        says: what is wrong and what to do.
    """

    kind: str
    where: str
    says: str
    is_error: bool = True


@dataclass
class Report:
    """What `check_views` found.

    Attributes:
        folder: of the data set.
        layout: "dvr" or "srn".
        objects: how many there are.
        looked_at: names of those whose pictures and cameras were read.
        agreement: by object: fraction of the mask pixels that the visual hull of all views reaches.
        findings: in the order in which they were made.
    """

    folder: Path
    layout: str
    objects: int = 0
    looked_at: list[str] = field(default_factory=list)
    agreement: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.is_error for finding in self.findings)

    def add(self, kind: str, where: str | Path, says: str, is_error: bool = True) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, str(where), says, is_error))

    def text(self) -> str:
        """The report for a person."""
        layout = {"dvr": "DVR", "srn": "SRN"}[self.layout]
        lines = [f"{self.folder}: {self.objects:,} objects in {layout}'s layout, {len(self.looked_at)} looked into"]
        if self.agreement:
            scores = list(self.agreement.values())
            lines.append(
                f"cameras against masks: the visual hull explains {np.mean(scores):.1%} of the mask pixels "
                f"(worst object {min(scores):.1%}; good data have {FITS:.0%} and more)"
            )
        for is_error, title in ((True, "wrong"), (False, "to know")):
            for kind in dict.fromkeys(finding.kind for finding in self.findings if finding.is_error == is_error):
                lines += self._lines(title, [f for f in self.findings if f.kind == kind and f.is_error == is_error])
        well = "no mistake is certain; read the remarks above" if self.findings else "all is well"
        lines.append(well if self.ok else "correct this data set before you train a network on it")
        return "\n".join(lines)

    def _lines(self, title: str, same: list[Finding]) -> list[str]:
        """Findings of one kind: a line for each of the first different ones, and where else."""
        firsts = list({finding.says: finding for finding in reversed(same)}.values())[::-1][:_SHOWN]
        lines = [f"{title}: {finding.where}: {finding.says}" for finding in firsts]
        others = [finding.where for finding in same if finding not in firsts]
        if others:
            more = ", …" if len(others) > _SHOWN else ""
            lines.append(f"  likewise in {len(others)} more: {', '.join(others[:_SHOWN])}{more}")
        return lines
