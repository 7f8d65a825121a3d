"""Where published pictures and recordings come from, by the folder or file that the shipped configurations read.

Sets of pictures say in the configuration where they lie, not what they are: a folder of this name under `resources/` is
taken for the data set that it is named after. What is elsewhere is the user's own.
"""

from pathlib import Path

from robust3d.data.published.inventory import Source

_IMAGENET = "ImageNet's terms: non-commercial research and education, after registration at https://image-net.org"

PICTURES = {
    source.place: source
    for source in (
        Source(
            "ImageNet, ILSVRC 2012 (train/ and val/, a folder for each class such as n01440764; 145 GB)",
            "https://image-net.org/challenges/LSVRC/2012",
            _IMAGENET,
            "resources/imagenet",
        ),
        Source(
            "depth maps of ImageNet's training images (in folders of classes, by the pictures' names)",
            "https://github.com/isl-org/ZoeDepth",
            "the code's is MIT; the maps follow ImageNet's terms",
            "resources/imagenet-depth",
            "write them by a model of https://github.com/isl-org/ZoeDepth that lies in a folder MODEL: "
            "`robust3d depth resources/imagenet/train --model MODEL --out resources/imagenet-depth`",
        ),
        Source(
            "iNaturalist 2021 (2021_train and 2021_valid as train/ and val/, a folder for each species; 240 GB)",
            "https://github.com/visipedia/inat_comp/tree/master/2021",
            "for non-commercial research and education; each picture has its owner's licence",
            "resources/inat2021",
        ),
        Source(
            "NYU-Depth V2 with its lists (nyu_train.txt: 24,231 pictures, nyu_test.txt: 654; maps in millimetres)",
            "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html",
            "for research, with a citation of Silberman et al. 2012",
            "resources/nyu",
            "get them as DINOv2's evaluation does, by https://github.com/cleinc/bts (sync.zip, official_splits/test), "
            "and put pictures, maps and lists into resources/nyu",
        ),
        Source(
            "the validation images of ImageNet in random styles (a folder for each class; 50,000 pictures)",
            "https://github.com/rgeirhos/Stylized-ImageNet",
            f"{_IMAGENET}; the code's is MIT",
            "resources/imagenet-stylised",
            "make them of the validation images by the code of https://github.com/rgeirhos/Stylized-ImageNet; put the "
            "folders of classes into resources/imagenet-stylised",
        ),
        Source(
            "Geirhos' cue-conflict stimuli (stimuli/style-transfer-preprocessed-512; a folder for each of 16 shapes)",
            "https://github.com/rgeirhos/texture-vs-shape",
            "CC BY 4.0 for what its authors made; the pictures behind it have their own",
            "resources/cue-conflict",
        ),
        Source(
            "Broden (broden1_224.zip: index.csv, label.csv, images/)",
            "http://netdissect.csail.mit.edu/data/broden1_224.zip",
            "its parts' own (ADE20K, Pascal, DTD, OpenSurfaces): for research",
            "resources/broden1_224",
        ),
        Source(
            "ImageNet-R (a folder for each of 200 classes; 30,000 pictures)",
            "https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar",
            "MIT for the collection; the pictures belong to their makers",
            "resources/imagenet-r",
        ),
        Source(
            "ImageNet-Sketch (a folder for each class; 50,889 pictures)",
            "https://github.com/HaohanWang/ImageNet-Sketch",
            "MIT for the collection; the pictures belong to their makers",
            "resources/imagenet-sketch",
        ),
        Source(
            "PUG: ImageNet (27 GB, with labels_pug_imagenet.csv) and class_to_imagenet_idx.json of its repository",
            "https://github.com/facebookresearch/PUG",
            "CC BY-NC 4.0, and not for training generative models",
            "resources/pug-imagenet",
        ),
        *(
            Source(
                f"ImageNet-3DCC's {name} (a folder for each severity, 1 to 5, with folders of classes)",
                f"https://datasets.epfl.ch/3dcc/imagenet_3dcc/{name}.tar.gz",
                f"CC BY-NC 4.0; {_IMAGENET}",
                f"resources/imagenet-3dcc/{name}",
            )
            for name in (
                *("color_quant", "far_focus", "flash", "fog_3d", "iso_noise", "low_light", "near_focus"),
                *("xy_motion_blur", "z_motion_blur"),
            )
        ),
        Source(
            "FractalDB's categories (csv_rate0.2_category1000)",
            "https://github.com/hirokatsukataoka16/FractalDB-Pretrained-ResNet-PyTorch",
            "MIT",
            "resources/fractaldb",
        ),
        Source(
            "CIFAR-10 and CIFAR-100 (python versions: cifar-10-batches-py/, cifar-100-python/)",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            "none stated; for research, with a citation",
            "resources/cifar",
        ),
        Source(
            "Places365-Standard at 256 px (train/ and val/, a folder for each class)",
            "http://places2.csail.mit.edu/download.html",
            "for research and education",
            "resources/places365",
        ),
        Source(
            "Pascal VOC 2012 (VOCdevkit/VOC2012)",
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012",
            "Flickr's terms for the pictures; for research",
            "resources/voc2012",
        ),
        Source(
            "Omniglot (images_background.zip and images_evaluation.zip, in omniglot-py/)",
            "https://github.com/brendenlake/omniglot",
            "MIT",
            "resources/omniglot",
        ),
        Source(
            "MajajHong2015's public responses (assy_dicarlo_MajajHong2015_public.nc)",
            "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore/assy_dicarlo_MajajHong2015_public.nc",
            "Brain-Score's: for research, with a citation of Majaj et al. 2015",
            "resources/majajhong2015.nc",
        ),
        Source(
            "the pictures of MajajHong2015 (stimulus_hvm-public.zip, in folders of their categories)",
            "https://brainscore-storage.s3.amazonaws.com/brainio-brainscore/",
            "Brain-Score's: for research, with a citation of Majaj et al. 2015",
            "resources/hvm",
        ),
        Source(
            "the Natural Scenes Dataset (betas and masks of regions)",
            "https://naturalscenesdataset.org",
            "its terms and conditions, which each user accepts; for research",
            "resources/nsd",
        ),
    )
}


def source_of(path: str | Path) -> Source | None:
    """The published data that a path of the configuration stands for, or is a folder of; None: the user's own."""
    places = (Path(path), *Path(path).parents)
    return next((PICTURES[place.as_posix()] for place in places if place.as_posix() in PICTURES), None)
