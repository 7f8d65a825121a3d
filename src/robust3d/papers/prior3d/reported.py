"""The paper's printed numbers: shown beside ours, never expected of them. RMSE in metres, all others in percent."""

TABLE1 = {
    "columns": ("Im-R", "Im-Sketch", "PUG-Texture", "PUG-Size"),
    "ViT-S/14": (53.7, 41.2, 20.7, 26.8),
    "ViT-S/14 + 3D-Prior": (54.6, 41.8, 21.2, 26.9),
    "ViT-B/14": (63.3, 50.6, 25.3, 32.2),
    "ViT-B/14 + 3D-Prior": (65.9, 52.4, 26.2, 33.4),
    "ViT-L/14": (74.4, 59.3, 34.5, 42.7),
    "ViT-L/14 + 3D-Prior": (75.9, 59.5, 36.4, 43.2),
}
TABLE2 = {
    "columns": (
        "color quant", "far focus", "flash", "fog 3d", "iso noise", "low light", "near focus", "xy motion blur",
        "z motion blur",
    ),
    "ViT-B/14": (72.5, 71.6, 60.8, 62.5, 63.9, 72.3, 75.5, 58.5, 58.3),
    "ViT-B/14 + 3D-Prior": (72.6, 72.0, 60.7, 62.7, 63.3, 72.3, 75.8, 59.0, 58.7),
}  # fmt: skip
TABLE3 = {
    "columns": ("ImageNet-1k", "iNat21", "NYU linear", "NYU DPT"),
    "ViT-S/14": (81.1, 74.2, 0.499, 0.356),
    "ViT-S/14 + 3D-Prior": (81.4, 73.6, 0.438, 0.346),
    "ViT-B/14": (84.5, 81.1, 0.399, 0.317),
    "ViT-B/14 + 3D-Prior": (85.1, 82.0, 0.398, 0.3),
    "ViT-L/14": (86.3, 85.1, 0.384, 0.293),
    "ViT-L/14 + 3D-Prior": (86.5, 85.2, 0.389, 0.286),
}
TABLE4 = {
    "columns": ("Im-1k", "Im-R", "Im-Sketch", "PUG-Texture", "PUG-Size"),
    "DinoV2": (84.5, 63.3, 50.6, 25.3, 32.2),
    "Ours": (85.1, 65.9, 52.4, 26.2, 33.4),
    "Ours w/o triplane": (84.3, 63.1, 50.7, 24.9, 31.1),
    "Ours w/o L_dist": (70.7, 34.2, 22.9, 12.1, 16.4),
    "Ours from scratch": (14.4, 8.5, 7.4, 0.2, 0.1),
}
