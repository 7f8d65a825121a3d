"""Ways to spoil an image: corruptions as in ImageNet-C, and the distortions of the shape-bias paper.

All are pure functions of tensors (N, 3, H, W), on the CPU or a GPU. What is drawn at random depends on the seed of an
image alone, so an image comes out the same whatever the batch that it is in.

    corruptions   the 19 of ImageNet-C by name, at five severities: `corrupt`
    parameters    their published parameters, for images of 224, 64 and 32 px
    noise, blur, weather, digital, spatter, frost   the corruptions themselves
    scramble      tiles in another order
    binary        black and white
    masks         silhouettes, and objects with another texture
"""
