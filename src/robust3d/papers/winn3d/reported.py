"""The paper's printed numbers, in percent: shown beside ours, never expected of them."""

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
