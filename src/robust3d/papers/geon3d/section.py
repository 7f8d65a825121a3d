"""The paper's section of the configuration: what its tables and figures show."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from robust3d.attacks.budgets import NORMS, Budget, check_among
from robust3d.params import Params
from robust3d.registry import probe_sets
from robust3d.study.keys import Keys, check_known, in_order, there

if TYPE_CHECKING:
    from robust3d.study.config import Study


class Curves(Params):
    """Curves of a figure of accuracy over budgets, with a panel for each experiment and norm."""

    experiments: Keys = Field(min_length=1)  # keys of `experiments`
    pretraining: Keys | None = None  # keys of `pretraining`, beside AT; left out: all of the experiment


class Section(Params):
    """Contents of tables and figures."""

    table3: str  # key of `experiments`
    table3_probe: str = "shift"  # key of `probes`, of a shift test
    table4: str
    # The budget of each row; it becomes part of the label. Null leaves a row out.
    table4_rows: Annotated[
        dict[Literal["Linf", "L2"], Budget], BeforeValidator(there), Field(min_length=1), in_order(NORMS)
    ]
    gallery: str  # family of figures 2 and 8: all forty geons
    objects: str  # family of the sheet of objects
    figure3: Keys = Field(min_length=1)  # keys of `sets`, a row of examples each
    figure4: Curves  # against Linf; figure 6 sums figures 4 and 5 and Table 3 up
    figure5: Curves  # against L2
    figure7: Curves  # against both
    figure9: Curves  # against both

    def check(self, study: "Study") -> None:
        """Check that all keys that it names are defined.

        Raises:
            ValueError: begins with the key's path in the section.
        """
        for key in ("table3", "table4"):
            check_known(key, getattr(self, key), study.experiments)
        check_known("table3_probe", self.table3_probe, study.probes)
        if "shifted" not in probe_sets(study.probes[self.table3_probe].probe):
            raise ValueError(f"table3_probe: {self.table3_probe} reads no set called `shifted`")
        check_known("gallery", self.gallery, study.families)
        check_known("objects", self.objects, study.families)
        for name in self.figure3:
            check_known("figure3", name, study.sets)
        for figure in ("figure4", "figure5", "figure7", "figure9"):
            curves: Curves = getattr(self, figure)
            for name in curves.experiments:
                check_known(f"{figure}.experiments", name, study.experiments)
            for name in curves.pretraining or ():
                check_known(f"{figure}.pretraining", name, study.pretraining)
        experiment = study.experiments[self.table4]
        trained = {study.classifiers[key].trained_against for key in experiment.classifiers}
        for norm, budget in self.table4_rows.items():
            of_experiment = norm in experiment.epsilons
            place = f"experiments.{self.table4}.epsilons.{norm}" if of_experiment else f"attacks.{norm}.epsilons"
            check_known(f"table4_rows.{norm}", norm, study.attacks)
            if norm not in trained:
                raise ValueError(
                    f"table4_rows.{norm}: no classifier of experiments.{self.table4}.classifiers is trained against "
                    f"{norm}; add one, or leave the row out by null"
                )
            check_among(f"table4_rows.{norm}", budget, place, study.epsilons(experiment, norm))
