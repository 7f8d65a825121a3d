"""Parameters of trainings on voxels; imports no torch. What the paper leaves open says so.

"WINN" is Lee et al. 2018 and its published code, on which the paper builds.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from robust3d.attacks.params import PgdParams
from robust3d.models.introspective.params import NetworkParams, SynthesisParams
from robust3d.params import Params
from robust3d.training.params import LoopParams


class VoxelTrainingParams(Params):
    """One training on the volumes of a voxel set.

    A pass is one volume through the network once: forward, backward to its input, or backward to the weights.
    """

    # introspective: Eq. 3. cross_entropy: the baseline of Table 5. pgd: adversarial training, a control.
    objective: Literal["introspective", "cross_entropy", "pgd"] = "introspective"
    supervised: bool = True  # False: no labels, no cross-entropy; the network has one output
    network: NetworkParams = NetworkParams()

    # --- the loss of Eq. 3 ---
    # Weight of the Wasserstein term; not stated. 1: beside lambda this is the critic's loss of unsupervised training,
    # and what the supervised one leaves out is said to be as there. WINN: 0.01, which multiplies lambda too; beside it
    # the penalty weighs a thousand times the term, and after short trainings noise scores as real volumes do.
    alpha: float = Field(1.0, ge=0)
    penalty: float = Field(10.0, ge=0)  # lambda; as stated
    # Eq. 3 prints lambda outside of alpha; WINN's code multiplies both with alpha. Unsupervised there is no alpha.
    penalty_reading: Literal["beside_alpha", "times_alpha"] = "beside_alpha"
    # noise and none are controls: fresh noise of the initial distribution in every batch, or the gradient penalty at
    # the real volumes alone.
    negatives: Literal["synthesised", "noise", "none"] = "synthesised"

    # --- batches ---
    batch: int = Field(32, ge=2)  # half real, half negatives; supervised 32, unsupervised 128; as stated
    # "subtracting its mean value" of a mini-batch: one number, or one per voxel as 3D-DescriptorNet's code does.
    mean: Literal["scalar", "voxel"] = "scalar"
    # Whose mean: of the whole mini-batch as printed, of its real and negative halves each, or of the training set.
    # Tests, attacks and synthesis always use the training set's, as an answer must not depend on other volumes.
    mean_of: Literal["batch", "halves", "training_set"] = "batch"
    learning_rate: float = Field(2e-5, gt=0)  # supervised 2e-5, unsupervised 1e-4; as stated
    beta1: float = Field(0.0, ge=0, lt=1)  # of Adam; as stated
    beta2: float = Field(0.9, ge=0, lt=1)  # of Adam; as stated
    steps: int | None = Field(None, gt=0)  # of trainings without synthesis; none: as many passes as the paper's model

    # --- reclassification by synthesis ---
    iterations: int = Field(400, ge=1)  # of all cascades together; not stated; WINN: 4 cascades of 100
    cascades: int = Field(4, ge=1)  # not stated; WINN: 4
    critic_steps: int = Field(60, ge=1)  # optimiser steps between two syntheses; not stated; WINN: 60 to 300
    # Equal parts of the critic steps. Thresholds are drawn from the real batches' scores in the last one: earlier ones
    # are of a critic that knew less. Not stated; WINN: 3 passes unsupervised, 1 supervised.
    critic_passes: int = Field(3, ge=1)
    synthesis: SynthesisParams = SynthesisParams(learning_rate=0.002, beta1=0.0, beta2=0.9)  # supervised, as stated
    synthesis_batch: int = Field(32, ge=1)  # volumes that stop together; supervised 32, unsupervised 128; as stated
    synthesised: int = Field(1000, ge=1)  # pseudo-negatives of an iteration; not stated; WINN: 1,000
    synthesised_last: int | None = Field(None, ge=1)  # of a cascade's last iteration; none: as many; WINN: 10,000
    initial: int = Field(10_000, ge=1)  # volumes of noise before the first iteration; not stated; WINN: 10,000
    # Later cascades start from the samples of the last one, as stated; noise: always afresh, as WINN when supervised.
    start: Literal["last_cascade", "noise"] = "last_cascade"
    reuse_older: bool = True  # draw from the negatives of all iterations, as stated; False: of the last one (WINN)

    attack: PgdParams = PgdParams()  # of pgd

    # --- the loop ---
    validations: int = Field(10, ge=1)  # in all
    selection: Literal["last", "best"] = "last"  # best: by validation accuracy; WINN: best
    checkpoint_minutes: float = Field(10.0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.batch % 2 and self.uses_negatives:
            raise ValueError(f"batch: half of it is real, so it must be even, not {self.batch}")
        if self.iterations % self.cascades:
            raise ValueError(f"iterations: {self.cascades} cascades cannot share {self.iterations} evenly")
        if not self.supervised and (self.objective != "introspective" or self.negatives != "synthesised"):
            raise ValueError(
                "supervised: without labels only the introspective training with synthesis trains anything"
            )
        if self.steps is not None and self.synthesises:
            raise ValueError("steps: of this training they are iterations * critic_steps; leave it out")
        return self

    @property
    def cascade_iterations(self) -> int:
        """Syntheses of each cascade."""
        return self.iterations // self.cascades

    @property
    def synthesises(self) -> bool:
        """Whether pseudo-negatives are synthesised."""
        return self.objective == "introspective" and self.negatives == "synthesised"

    @property
    def uses_negatives(self) -> bool:
        """Whether half of a batch is negative."""
        return self.objective == "introspective" and self.negatives != "none"

    @property
    def real(self) -> int:
        """Real volumes of a batch."""
        return self.batch // 2 if self.uses_negatives else self.batch

    def block(self, iteration: int) -> int:
        """How many volumes are synthesised after an iteration, counted from 1; 0: the initial noise."""
        if iteration == 0:
            return self.initial
        is_last = iteration % self.cascade_iterations == 0
        return self.synthesised_last or self.synthesised if is_last else self.synthesised

    def sets_threshold(self, step: int) -> bool:
        """Whether a step, counted from 0, is in the last critic pass, whose real scores thresholds are drawn from."""
        return step % self.critic_steps >= self.critic_steps - -(-self.critic_steps // self.critic_passes)

    @property
    def step_passes(self) -> int:
        """Passes of one optimiser step, without synthesis."""
        if self.objective == "cross_entropy":
            return 3 * self.batch
        if self.objective == "pgd":  # a forward and a backward pass a step, one more forward for the best
            return (2 * self.attack.steps + self.attack.best_step + 3) * self.batch
        scored = 3 * self.real * (2 if self.uses_negatives else 1)
        return scored + 6 * self.real  # of the penalty: forward, backward to the input, and backward through both

    @property
    def passes(self) -> int:
        """Passes of the whole training, at most: a synthesis may end before its cap."""
        if not self.synthesises:
            return self.step_passes * (self.steps or 0)
        synthesised = sum(self.block(iteration) for iteration in range(1, self.iterations + 1))
        return self.step_passes * self.iterations * self.critic_steps + 2 * self.synthesis.max_steps * synthesised

    def with_passes(self, passes: int) -> "VoxelTrainingParams":
        """The same with steps for so many passes, if it has none of its own: controls get equal compute."""
        if self.synthesises or self.steps is not None:
            return self
        return self.model_copy(update={"steps": max(1, round(passes / self.step_passes))})

    @property
    def loop(self) -> LoopParams:
        """The loop's parameters."""
        steps = self.iterations * self.critic_steps if self.synthesises else self.steps
        if steps is None:
            raise ValueError("steps: missing")
        return LoopParams(
            steps=steps,
            learning_rate=self.learning_rate,
            betas=(self.beta1, self.beta2),
            validate_every=max(1, -(-steps // self.validations)),
            selection=self.selection,
            checkpoint_minutes=self.checkpoint_minutes,
            precision=self.precision,
        )
