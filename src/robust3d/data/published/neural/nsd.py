"""Betas of the Natural Scenes Dataset (Allen et al. 2022): one volume for each trial, and masks of regions.

Volumes are read from HDF5 (`betas_session01.hdf5`, data set `betas`, trials first, integers of 300 times the percent
signal change) or from NIfTI (trials last), for which nibabel has to be installed. Masks of regions are volumes of the
same grid, whose integers are regions: `prf-visualrois` has V1v, V1d, V2v, …, `streams` has `ventral`. The data set has
no masks of LO and PFS by these names; give masks of your own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robust3d.brain.assembly import Assembly, assembled
from robust3d.data.published.files import reading, regular_file
from robust3d.errors import UserError

LARGEST = 64 << 30
SCALE = 300.0  # of the integers that betas are stored as
Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Masked:
    """A file of a mask, and which of its values are a region.

    Attributes:
        path: `.nii`, `.nii.gz` or `.hdf5`.
        values: such as (1, 2) for V1v and V1d in `prf-visualrois`.
    """

    path: Path
    values: tuple[int, ...]


def read_betas(
    sessions: Sequence[Path], stimuli: Sequence[str], regions: Mapping[str, Masked], subject: str = "subj01"
) -> Assembly:
    """Responses of one person's voxels, z-scored in each session as is usual for NSD.

    Args:
        sessions: files of betas, in the order of the trials.
        stimuli: id of the image of each trial, over all sessions, such as the numbers in `nsd_expdesign.mat`.
        regions: masks by name; a voxel has the first one that it is in. Names are of the user's choice.
        subject: name of the person.

    Raises:
        UserError: a file is missing or damaged; masks on another grid, or empty; another number of trials; voxels
            that are not finite or constant in a session.
    """
    if not sessions or not regions:
        raise UserError("betas: name at least one file of a session, and a mask of a region")
    region_of, where = _voxels(regions)
    parts = []
    for path in sessions:
        volumes = _betas(path, where.shape)
        values = volumes[:, where].astype(np.float64) / (SCALE if volumes.dtype.kind == "i" else 1)
        spread = values.std(0)
        if not (np.isfinite(spread) & (spread > 0)).all():
            bad = int((~(np.isfinite(spread) & (spread > 0))).sum())
            raise UserError(
                f"{path}: {bad:,} voxels of the masks are constant or not finite in this session, as outside of the "
                "brain; take them out of the masks"
            )
        parts.append((values - values.mean(0)) / spread)
    trials = np.concatenate(parts)
    if len(trials) != len(stimuli):
        raise UserError(f"betas: {len(trials):,} trials in {len(sessions)} files, but {len(stimuli):,} names of images")
    flat = np.flatnonzero(where.ravel())
    return assembled(
        str(sessions[0].parent),
        trials,
        stimuli,
        [""] * len(trials),
        [f"voxel {place}" for place in flat],
        [region_of[place] for place in flat],
        [subject] * len(flat),
    )


def _voxels(regions: Mapping[str, Masked]) -> tuple[dict[int, str], npt.NDArray[np.bool_]]:
    """The region of each voxel in one, by its place, and where they are."""
    region_of: dict[int, str] = {}
    shape: tuple[int, ...] = ()
    for name, mask in regions.items():
        volume = _volume(mask.path)
        if shape and volume.shape != shape:
            raise UserError(f"{mask.path}: {volume.shape} voxels, other masks have {shape}; take masks of one grid")
        shape = volume.shape
        inside = np.flatnonzero(np.isin(volume, mask.values)).tolist()
        if not inside:
            there = ", ".join(f"{value:g}" for value in np.unique(volume)[:20])
            raise UserError(f"{mask.path}: no voxel of {name} has a value of {mask.values}; there are {there}")
        for place in inside:
            region_of.setdefault(place, name)
    where = np.zeros(shape, bool)
    where.ravel()[list(region_of)] = True
    return region_of, where


def _betas(path: Path, shape: tuple[int, ...]) -> Array:
    """Volumes of the trials, (trials, x, y, z)."""
    volumes = _volume(path, "betas")
    if volumes.ndim == 4 and _is_nifti(path):
        volumes = np.moveaxis(volumes, -1, 0)
    if volumes.ndim == 4 and volumes.shape[1:] == shape[::-1] != shape:  # HDF5 by MATLAB: its axes are reversed
        volumes = volumes.transpose(0, 3, 2, 1)
    if volumes.shape[1:] != shape:
        raise UserError(
            f"{path}: volumes of {volumes.shape[1:]} voxels, the masks have {shape}; take one grid for both"
        )
    return volumes


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _volume(path: Path, name: str | None = None) -> Array:
    """The array of a file; of HDF5 the data set of this name, or the only one."""
    regular_file(path, LARGEST, "a volume")
    with reading(path, "not a readable volume", "download it again"):
        if _is_nifti(path):
            try:
                import nibabel
            except ImportError:
                raise UserError(
                    f"{path}: NIfTI is read through nibabel, which is not installed: pip install nibabel, or take the "
                    "HDF5 files"
                ) from None
            return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
        import h5py

        with h5py.File(path, "r", locking=False) as file:
            names = [key for key in file if isinstance(file[key], h5py.Dataset)]
            chosen = name if name in names else names[0] if len(names) == 1 else None
            if chosen is None:
                raise UserError(
                    f"{path}: needs a data set {name or 'of its own'}; it holds {', '.join(names) or 'none'}"
                )
            return np.asarray(file[chosen][()])
