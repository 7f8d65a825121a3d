"""Errors on corrupted images: the 19 corruptions of ImageNet-C at five severities."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

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

if TYPE_CHECKING:
    import torch

    from robust3d.probes import Findings, Subject

__all__ = ["PACKAGES", "Params", "predictions", "probe"]

PACKAGES = ("pillow",)  # draws the frost
CLEAN = "none"  # the name of no corruption, of severity 0


class Params(Base):
    """Which corruptions, and whose parameters."""

    corruptions: tuple[Corruption, ...] = Field((*COMMON, *EXTRA), min_length=1)
    severities: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(SEVERITIES, min_length=1)
    # Published for 224, 64 and 32 px; none: those of Tiny-ImageNet-C below 100 px and of CIFAR-10-C below 48 px.
    parameters: ParameterSet | None = None
    jpeg_quality: int | None = Field(None, ge=1, le=100)  # ImageNet-C is stored in JPEG files of quality 85; none: not
    relative_to: Literal["published"] | None = (
        None  # the mean corruption error divided by ImageNet-C's reference errors
    )
    batch_size: int = Field(250, ge=1)  # images per forward pass; changes speed and memory only
    seed: int = Field(0, ge=0)  # of all that is drawn, for each image apart

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for key in ("corruptions", "severities"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key}: each may stand here once, got {', '.join(map(str, values))}")
        if self.relative_to and (set(self.severities) != set(SEVERITIES) or not set(COMMON) <= set(self.corruptions)):
            raise ValueError("relative_to: the published errors are means over all five severities of the fifteen")
        return self


def probe(params: Params, subject: "Subject") -> "Findings":
    """What the classifier says of every image, clean and with each corruption at each severity."""
    import pandas as pd  # planning imports this module and needs none of these
    import torch

    from robust3d.distortions.corruptions import corrupt
    from robust3d.distortions.digital import through_jpeg
    from robust3d.probes import Findings
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
            said[name, severity].append(predictions(subject, shown))
    labels = images.labels.cpu().numpy()
    frames = []
    for (name, severity), parts in said.items():
        frame = pd.DataFrame({"images": "set", "image": range(len(labels)), "corruption": name, "severity": severity})
        frame["label"], frame["prediction"] = labels, torch.cat(parts).numpy()
        frames.append(frame.assign(correct=frame["label"] == frame["prediction"]))
    outcomes = pd.concat(frames, ignore_index=True)
    errors = 1 - outcomes.groupby(["corruption", "severity"])["correct"].mean()
    return Findings({"images": len(labels), "parameters": used, **_means(dict(errors.items()), params)}, outcomes)


def predictions(subject: "Subject", images: "torch.Tensor") -> "torch.Tensor":
    """Predicted labels (N,), on the CPU, of uint8 images or of floating-point ones in [0, 1]."""
    import torch

    from robust3d.attacks.agreement import ieee_fp32

    with torch.inference_mode(), ieee_fp32():
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images
        return subject.model(pixels).argmax(1).cpu()


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
