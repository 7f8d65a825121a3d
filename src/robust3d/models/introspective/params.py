"""Parameters of the network and of the synthesis; imports no torch.

"WINN" is Lee et al. 2018 and its published code.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from robust3d.params import Params

POOLS = 4  # of Table 1: the side of a volume is halved so often


class NetworkParams(Params):
    """The network of Table 1, at other widths and resolutions by key."""

    resolution: int = Field(32, ge=2**POOLS)  # voxels along a side; Table 1: 32
    width: float = Field(1.0, gt=0)  # times the channels of Table 1, 16 … 256
    slope: float = Field(0.2, ge=0, lt=1)  # of the leaky ReLU; not stated; TensorFlow's default, which WINN uses
    # Over what a layer norm takes its statistics; not stated. volume: channels and voxels together, as the layer norm
    # of WINN's TensorFlow does; channels: the channels of each voxel. Scale and shift are per channel in both.
    layer_norm: Literal["volume", "channels"] = "volume"
    # The score f of a labelled volume; the supervised scalar is not stated. class_logit: the logit of the volume's own
    # class, for W_t of Eq. 3 has no further weights; output: one more linear output of the features, as FC-1 in
    # Table 1; linear: a linear map of the logits, as in WINN's code.
    critic: Literal["class_logit", "output", "linear"] = "class_logit"

    @model_validator(mode="after")
    def _check_resolution(self) -> Self:
        if self.resolution % 2**POOLS:
            raise ValueError(f"resolution: {POOLS} pools halve it, so it must be a multiple of {2**POOLS}")
        return self

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the five convolutions."""
        return tuple(max(1, round(self.width * channels)) for channels in (16, 32, 64, 128, 256))

    @property
    def features(self) -> int:
        """Length of the features: the last map after its pool."""
        return self.channels[-1] * (self.resolution // 2**POOLS) ** 3


class SynthesisParams(Params):
    """Ascent on the score in the space of volumes, whose results are pseudo-negatives and generated shapes."""

    sampler: Literal["adam", "langevin"] = "adam"  # Training Details: Adam; Langevin: section Introspective Networks
    learning_rate: float = Field(0.005, gt=0)  # of Adam; unsupervised 0.005, supervised 0.002
    beta1: float = Field(0.8, ge=0, lt=1)  # of Adam; unsupervised 0.8, supervised 0; WINN: 0.9
    # As printed: 0.8 and 0 when unsupervised, 0 and 0.9 when supervised. At 0 the step is lr * m / |g|, which has no
    # bound where g crosses zero; 0 and 0.8, the two swapped, is another reading.
    beta2: float = Field(0.0, ge=0, lt=1)
    step_bound: float | None = Field(None, gt=0)  # largest change of a voxel in a step of Adam; none: as printed
    step_size: float = Field(0.01, gt=0)  # epsilon of Langevin: step epsilon / 2, noise of variance epsilon; not stated
    final_step_size: float = Field(0.0001, gt=0)  # "annealed": geometrically from step_size; not stated
    # Values after every step. Not stated; WINN: the range of the data, which is 0 to 1 here. none: unlimited.
    clip: tuple[float, float] | None = (0.0, 1.0)
    # ascent: until the batch's mean score reaches the threshold. match: until it is within `tolerance` of it, from
    # either side, as in WINN's supervised code.
    objective: Literal["ascent", "match"] = "ascent"
    tolerance: float = Field(1e-3, gt=0)  # of match; WINN: 1e-3
    max_steps: int = Field(2000, ge=1)  # not stated; WINN: 2,000
    # Weight of the log-probability of the class, ascended along with the score; not stated. 0 where the score is the
    # logit of the class; WINN, whose score knows no class: 0.5.
    label_weight: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _check_clip(self) -> Self:
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip: the lower end {self.clip[0]:g} is not below the upper end {self.clip[1]:g}")
        if self.final_step_size > self.step_size:
            raise ValueError("final_step_size: the step size falls, so it cannot end above step_size")
        return self
