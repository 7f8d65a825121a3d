"""The paper's printed numbers: shown beside ours, never expected of them. Accuracies and rates are in percent."""

from collections.abc import Sequence

CLASSES = ("Dresser", "Toilet", "Night stand", "Chair", "Table", "Sofa", "Monitor", "Bed", "Bathtub", "Desk")
NO_MODEL = "its authors' network is not trained here"
NO_SAMPLES = "the paper took samples of its authors"


def paper_class(name: str) -> str:
    """The paper's name of a class of ours; its own if the paper has none."""
    return next((label for label in CLASSES if label.lower() == name.replace("_", " ").lower()), name)


def column_of(label: str, categories: Sequence[str]) -> str:
    """The column of one of the paper's classes: that of the same category of ours, if there is one."""
    return next((name for name in categories if paper_class(name) == label), label.lower())


def _by_class(*numbers: float | None) -> dict[str, float]:
    """Numbers in the order of `CLASSES`; the paper leaves some out."""
    return {name: number for name, number in zip(CLASSES, numbers, strict=True) if number is not None}


TABLE2 = {  # Inception score: mean and deviation
    "3D ShapeNets": (4.13, 0.19),
    "3D-GAN": (8.66, 0.45),
    "3D VAE": (11.02, 0.42),
    "3D-DescriptorNet": (11.77, 0.42),
    "3DWINN-joint-single": (7.81, 0.22),
    "3DWINN-joint-multi": (8.81, 0.18),
    "3DWINN-separate-multi": (10.25, 0.19),
}

TABLE3 = {  # FID
    "3D-GAN": _by_class(None, None, None, 469, None, 517, None, None, None, 651),
    "3D-DescriptorNet": _by_class(414, 662, 517, 490, 538, 494, 511, 574, None, None),
    "3DWINN": _by_class(305, 474, 456, 225, 220, 151, 181, 222, 305, 322),
}

TABLE4 = {  # probability of the class
    "3D-GAN": _by_class(0.6314, 0.8569, 0.6853, 0.97, 0.8377, 0.9276, 0.2493, 0.7775, 0.7017, 0.7936),
    "3D-DescriptorNet": _by_class(0.7678, 0.9701, 0.7195, 0.992, 0.891, 0.948, 0.9473, 0.9202, 0.8348, 0.8203),
    "3D-VAE": _by_class(0.701, 0.6943, 0.6592, 0.9892, 0.8751, 0.3017, 0.8559, 0.3963, 0.719, 0.8145),
    "3D ShapeNets": _by_class(0.2166, 0.8832, 0.4969, 0.8482, 0.7902, 0.4888, 0.2767, 0.3239, 0.1644, 0.1068),
    "3DWINN": _by_class(0.8114, 0.957, 0.5723, 0.9938, 0.9055, 0.9538, 0.982, 0.9301, 0.9477, 0.9184),
}
NOT_TRAINED = {"3D ShapeNets": NO_MODEL, "3D-DescriptorNet": NO_SAMPLES}  # why rows of tables 3 and 4 are printed only

TABLE6 = {  # accuracy in percent
    "SPH": 79.8,
    "LFD": 79.9,
    "VConv-DAE": 80.5,
    "3D-GAN": 91.0,
    "3D-DescriptorNet": 92.4,
    "3DWINN": 91.9,
}
TABLE6_PRINTED_ONLY = {
    "SPH": "features of another paper",
    "LFD": "features of another paper",
    "VConv-DAE": NO_MODEL,
    "3D-GAN": "features of another generator's discriminator",
    "3D-DescriptorNet": "features of another generator",
}

TABLE5 = {
    "3D ShapeNets": 83.5,
    "DeepPano": 85.5,
    "VoxNet": 92.0,
    "ORION": 93.8,
    "Baseline": 93.1,
    "3DWINN": 93.6,
}
PRINTED_ONLY = ("3D ShapeNets", "DeepPano", "VoxNet", "ORION")  # other networks, which are not trained here
ERROR_REDUCTION = 50.0  # of the validation error against the baseline; section 3D Object Classification, text alone

TABLE7_COLUMNS = ("FGSM", "I-FGSM 5", "I-FGSM 10")
TABLE7 = {
    "Adversarial error of Baseline": (27.64, 30.50, 53.19),
    "Adversarial error of 3DWINN": (19.05, 19.27, 43.83),
    "Correction rate by Baseline": (46.12, 50.60, 51.88),
    "Correction rate by 3DWINN": (73.98, 70.06, 75.46),
}
