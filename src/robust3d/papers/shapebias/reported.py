"""The paper's printed numbers, in percent if nothing else is said: shown beside ours, never expected of them."""

TABLE1_COLUMNS = ("Clean", "Adversarial")
TABLE1 = {
    "AlexNet": (56.52, 0.18),
    "AlexNet-R": (39.83, 22.27),
    "GoogLeNet": (69.78, 0.08),
    "GoogLeNet-R": (43.57, 31.23),
    "ResNet-50": (76.13, 0.35),
    "ResNet-50 AdvProp PGD1": (77.31, 69.02),
    "ResNet-50 AdvProp PGD5": (77.01, 73.55),
    "ResNet-50-R": (57.9, 36.11),
}

TABLE2_COLUMNS = ("Texture", "Shape")
TABLE2 = {
    "AlexNet": (73.61, 26.39),
    "AlexNet-R": (34.67, 65.32),
    "GoogLeNet": (74.91, 25.08),
    "GoogLeNet-R": (34.43, 65.56),
    "ResNet-50": (77.79, 22.2),
    "ResNet-50 AdvProp PGD1": (68.24, 31.75),
    "ResNet-50 AdvProp PGD5": (63.11, 36.89),
    "ResNet-50-R": (29.63, 70.36),
}

TABLE3_COLUMNS = ("Real", "Adversarial", "Scrambled", "Stylised", "B&W", "Silhouette")
TABLE3 = {
    "AlexNet": (100, 0.18, 34.59, 6.31, 20.08, 7.72),
    "AlexNet-R": (100, 22.27, 16.92, 9.11, 35.25, 9.3),
    "GoogLeNet": (100, 0.08, 49.74, 13.74, 43.48, 10.17),
    "GoogLeNet-R": (100, 31.23, 31.15, 12.54, 44.55, 24.12),
    "ResNet-50": (100, 0.35, 58.04, 10.68, 16.96, 3.95),
    "ResNet-50-R": (100, 36.11, 34.46, 15.62, 53.89, 22.3),
}

TABLE4 = {
    "AlexNet": 110.2,
    "AlexNet-R": 63.59,
    "GoogLeNet": 36.53,
    "GoogLeNet-R": 22.79,
    "ResNet-50": 18.35,
    "ResNet-50-R": 19.96,
}
"""Mean total variation of the kernels, in the networks' own weights, not in percent."""

FIGURE6 = {
    "AlexNet-R": {"color": 117, "texture": 7, "object": -28},
    "GoogLeNet-R": {"color": 102, "texture": 34, "object": -20, "part": -26},
}
"""Change of the number of detectors by adversarial training, as the text and the caption say it."""

FIGUREA12 = {"AlexNet": 26.07, "AlexNet-R": 22.43}
"""Mean number of concepts that a unit detects, over all layers (section 3.3.2)."""

TABLEA1_COLUMNS = (
    "AlexNet",
    "AlexNet-R",
    "GoogLeNet",
    "GoogLeNet-R",
    "ResNet-50",
    "ResNet-50-R",
    "ResNet-50 AdvProp PGD1",
    "ResNet-50 AdvProp PGD5",
)
TABLEA1 = {
    "gaussian_noise": (11.05, 56.1, 56.34, 26.78, 38.43, 45.03, 49.53, 56.39),
    "shot_noise": (11.15, 53.22, 50.43, 24.66, 35.03, 44.07, 47.56, 52.85),
    "impulse_noise": (8.93, 52.49, 42.1, 24.9, 38.4, 41.68, 49.53, 52.39),
    "defocus_blur": (24.34, 28.15, 39.63, 26.52, 43.77, 37.95, 49.71, 56.06),
    "glass_blur": (22.76, 44.5, 22.62, 43.17, 20.71, 51.53, 30.38, 37.74),
    "motion_blur": (33.87, 41.74, 44.24, 41.25, 44.92, 50.16, 48.27, 54.63),
    "zoom_blur": (38.86, 44.27, 42.58, 43.61, 45.16, 52.2, 49.59, 54.97),
    "snow": (26.59, 26.91, 52.78, 15.6, 42.13, 40.39, 46.01, 51.46),
    "frost": (21.46, 13.85, 46.14, 8.38, 37.72, 33.51, 43.88, 50.66),
    "fog": (27.86, 1.64, 64.37, 12.3, 56.78, 3.81, 54.81, 58.64),
    "brightness": (77.61, 62.67, 91.6, 51.14, 85.67, 79.44, 86.76, 88.3),
    "contrast": (18.24, 2.06, 78.38, 22.63, 53.67, 3.46, 56.57, 61.63),
    "elastic_transform": (75.97, 80.98, 78.18, 77.15, 67.86, 82.11, 74.23, 78.44),
    "pixelate": (57.94, 79.46, 82.47, 79.35, 62.4, 83.21, 67.88, 76.38),
    "jpeg_compression": (72.82, 85.07, 80.27, 81.72, 73.66, 85.51, 79.75, 82.01),
    "speckle_noise": (17.55, 58.42, 51.32, 31.31, 41.74, 52.57, 52.8, 58.07),
    "gaussian_blur": (28.68, 31.26, 45.52, 30.36, 47.56, 41.7, 55.68, 60.43),
    "spatter": (28.68, 31.26, 45.52, 30.36, 47.56, 41.7, 55.68, 60.43),
    "saturate": (46.9, 63.66, 65.36, 57.48, 58.58, 70.72, 66.21, 71.44),
    "mean": (37.16, 47.34, 59.38, 40.34, 51.7, 51.72, 57.86, 62.8),
}
"""By our names of the corruptions; the mean is over the first fifteen."""

PRINTED_ONLY = {"Silhouette": "needs DeepLab-v2's masks, and answers by COCO's superclasses"}
"""Columns that no scale makes on ImageNet, and why."""
