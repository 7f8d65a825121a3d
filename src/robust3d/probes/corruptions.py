"""Errors on corrupted images: the 19 corruptions of ImageNet-C at five severities."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from robust3d.distortions.parameters import (
    COMMON,
    EXTRA,
    PUBLISHED_ERRORS,
    SEVERITIES,
    Corruption,
    ParameterSet,
    set_for,
)
from robust3d.params import Params as Base
from robust3d.params import distinct

if TYPE_CHECKING:
    from robust3d.probes import Findings, Subject

PACKAGES = ("pillow",)  # draws the frost
CLEAN = "none"  # the name of no corruption, of severity 0


class Params(Base):
    """Which corruptions, and whose parameters."""

    corruptions: tuple[Corruption, ...] = Field((*COMMON, *EXTRA), min_length=1)
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(SEVERITIES, min_length=1)
    # Published for 224, 64 and 32 px; none: those of Tiny-ImageNet-C below 100 px and of CIFAR-10-C below 48 px.
    parameters: ParameterSet | None = None
    jpeg_quality: int | None = Field(None, ge=1, le=100)  # ImageNet-C is stored in JPEG files of quality 85; none: not
    # Also divide the mean corruption error by the reference errors that are published with ImageNet-C.
    relative_to: Literal["published"] | None = None
    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only
    seed: int = Field(0, ge=0)  # of all that is drawn, for each image apart

    _once = field_validator("corruptions", "severities")(distinct)

    @model_validator(mode="after")
    def _check(self) -> "Params":
        if self.relative_to and (set(self.severities) != set(SEVERITIES) or not set(COMMON) <= set(self.corruptions)):
            raise ValueError("relative_to: the published errors are means over all five severities of the fifteen")
        return self


def probe(params: Params, subject: "Subject") -> "Findings":
    """What the classifier says of every image, clean and with each corruption at each severity."""
    import pandas as pd  # planning imports this module and needs none of these
    import torch

    from robust3d.distortions.corruptions import corrupt
    from robust3d.distortions.digital import through_jpeg
    from robust3d.probes import Findings, answered
    from robust3d.seeds import seed_of

    images = subject.images("set")
    seeds = [seed_of(params.seed, "corruptions", name) for name in images.ids]
    used = params.parameters or set_for(images.resolution_px)
    kinds = [(CLEAN, 0), *((name, severity) for name in params.corruptions for severity in params.severities)]
    said: dict[tuple[str, int], list[Any]] = {kind: [] for kind in kinds}
    for start, (batch, _) in enumerate(images.batches(params.batch_size)):
        own = seeds[start * params.batch_size :][: len(batch)]
        for name, severity in kinds:
            shown = corrupt(batch, name, severity, own, used) if severity else batch  # type: ignore[arg-type]
            if severity and params.jpeg_quality is not None:
                shown = torch.stack(through_jpeg(list(shown.cpu()), params.jpeg_quality)).to(batch.device)
            said[name, severity].append(subject.predictions(shown))
    frames = [answered("set", images, parts, corruption=kind, severity=at) for (kind, at), parts in said.items()]
    outcomes = pd.concat(frames, ignore_index=True)
    errors = 1 - outcomes.groupby(["corruption", "severity"])["correct"].mean()
    return Findings({"images": len(images), "parameters": used, **_means(dict(errors.items()), params)}, outcomes)


def _means(errors: dict[Any, float], params: Params) -> dict[str, Any]:
    """Errors of each corruption, at each severity and on average, and their mean over the fifteen common ones."""
    by_name: dict[str, dict[str, float]] = {
        name: {str(severity): float(errors[name, severity]) for severity in params.severities}
        for name in params.corruptions
    }
    means = {name: sum(found.values()) / len(found) for name, found in by_name.items()}
    common: list[str] = [name for name in COMMON if name in means]
    facts: dict[str, Any] = {"clean_error": float(errors[CLEAN, 0]), "errors": means, "errors_by_severity": by_name}
    facts["averaged_over"] = common
    facts["mean_corruption_error"] = sum(means[name] for name in common) / len(common) if common else None
    if params.relative_to:
        facts["relative_to"] = {"name": params.relative_to, "errors": PUBLISHED_ERRORS}
        relative = [means[name] / PUBLISHED_ERRORS[name] for name in common]
        facts["relative_mean_corruption_error"] = sum(relative) / len(relative)
    return facts
