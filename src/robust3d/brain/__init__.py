"""How well features of a network predict responses of neurons, and how alike two representations are (Flatland 3.4, 5).

`pls` fits, `splits` divides the images, `predictivity` scores sites and chooses layers, `ceilings` says how well the
responses predict themselves, `rsa` compares dissimilarities, `alignment` is CKA, `differences` tests two networks
across sites and animals, `assembly` holds recorded responses, `synthetic` makes some whose truth is known. All of it
is numpy and scipy on arrays, without files.
"""
