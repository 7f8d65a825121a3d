"""Files in the layouts of Brain-Score, NSD and MATLAB, written here."""

import numpy as np
import pytest

from robust3d.data.published.neural import Masked, read_assembly, read_betas, read_rdms
from robust3d.errors import UserError

h5py = pytest.importorskip("h5py")
LEVELS = ("V0", "V3")


def write_assembly(path, shuffle=0, repetitions=3, spoil=None, label="image_id"):
    """256 sites as in Majaj and Hong's, six images of two variations; the responses, and the noise in them."""
    generator = np.random.default_rng(1)
    images = [(f"im{i}", LEVELS[i % 2], "car" if i < 3 else "dog") for i in range(6)]
    rows = [(place, repetition) for repetition in range(repetitions) for place in range(6)]
    noise = generator.standard_normal((len(rows), 256))
    values = np.array([[10 * place + site / 1000 for site in range(256)] for place, _ in rows]) + noise
    order = np.random.default_rng(shuffle).permutation(len(rows)) if shuffle else np.arange(len(rows))
    text = h5py.string_dtype()
    if spoil:
        values = spoil(values)
    with h5py.File(path, "w") as file:
        for name, size in (("neuroid", 256), ("presentation", len(rows)), ("time_bin", 1)):
            file.create_dataset(name, data=np.zeros(size, "f4")).make_scale(
                "This is a netCDF dimension but not a " + name
            )
        main = file.create_dataset("__xarray_dataarray_variable__", data=values[order].T[:, :, None])
        for axis, name in enumerate(("neuroid", "presentation", "time_bin")):
            main.dims[axis].attach_scale(file[name])
        columns = {label: [images[p][0] for p, _ in rows], "variation": [images[p][1] for p, _ in rows]}
        columns["object_name"] = [images[p][2] for p, _ in rows]
        for name, column in columns.items():
            data = file.create_dataset(name, data=[column[place] for place in order], dtype=text)
            data.dims[0].attach_scale(file["presentation"])
        file.create_dataset("repetition", data=np.array([r for _, r in rows])[order]).dims[0].attach_scale(
            file["presentation"]
        )
        sites = {
            "neuroid_id": [f"Chabo_{i}" for i in range(256)],
            "region": ["V4"] * 88 + ["IT"] * 168,
            "animal": ["Chabo", "Tito"] * 128,
        }
        for name, column in sites.items():
            file.create_dataset(name, data=column, dtype=text).dims[0].attach_scale(file["neuroid"])
    return values, noise


def test_a_flat_assembly_is_averaged_and_divided_by_region(tmp_path):
    _, noise = write_assembly(tmp_path / "a.nc")
    assembly = read_assembly(tmp_path / "a.nc")
    assert len(assembly.in_region("IT").sites) == 168 and len(assembly.in_region("V4").sites) == 88
    assert assembly.stimuli == tuple(f"im{i}" for i in range(6)) and assembly.groups == ("car",) * 3 + ("dog",) * 3
    expected = 10 * np.arange(6)[:, None] + np.arange(256) / 1000 + noise.reshape(3, 6, 256).mean(0)
    assert np.allclose(assembly.means(), expected)
    assert set(read_assembly(tmp_path / "a.nc", "IT").animals) == {"Chabo", "Tito"}


def test_one_variation_and_any_order(tmp_path):
    write_assembly(tmp_path / "a.nc")
    write_assembly(tmp_path / "b.nc", shuffle=5, label="stimulus_id")
    ours, theirs = (read_assembly(tmp_path / name, "IT", 3) for name in ("a.nc", "b.nc"))
    assert ours.stimuli == theirs.stimuli == ("im1", "im3", "im5")
    assert np.allclose(ours.means(), theirs.means())


def packed(path, attributes, values, dtype) -> None:
    """Stores the responses in another way, as netCDF's libraries do."""
    write_assembly(path)
    with h5py.File(path, "a") as file:
        old = file["__xarray_dataarray_variable__"]
        stored = values(old[()]).astype(dtype)
        scales = [scale[0] for scale in old.dims]
        del file["__xarray_dataarray_variable__"]
        main = file.create_dataset("responses", data=stored)
        for axis, scale in enumerate(scales):
            main.dims[axis].attach_scale(scale)
        for name, value in attributes.items():
            main.attrs[name] = value


def test_packed_responses_are_unpacked_and_fill_values_are_missing(tmp_path):
    """By the conventions of netCDF: value = stored * scale_factor + add_offset."""
    path = tmp_path / "a.nc"
    expected = write_assembly(path)[0].reshape(3, 6, 256).mean(0)
    attributes = {"scale_factor": np.float64(0.01), "add_offset": np.array([20.0]), "_FillValue": np.int16(-9)}
    packed(path, attributes, lambda values: np.round((values - 20) / 0.01 // 2 * 2), "i2")  # even ones, so never -9
    assert np.abs(read_assembly(path).means() - expected).max() < 0.02

    def with_a_hole(fill):
        def spoilt(values):
            values = values.copy()
            values[7, 3] = fill  # sites are first in the file; without shuffling the fourth image
            return values

        return spoilt

    for attributes, fill, dtype in (
        ({}, 9.969209968386869e36, "f4"),
        ({"missing_value": np.float32(-999)}, -999, "f4"),
        ({"_FillValue": np.int32(-99), "scale_factor": 0.5}, -99, "i4"),
    ):
        packed(path, attributes, with_a_hole(fill), dtype)
        with pytest.raises(UserError, match="responses are not finite, the first of site Chabo_7 to im3"):
            read_assembly(path)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4", ">i2"])
def test_counts_of_any_kind_are_read_as_they_are(tmp_path, dtype):
    """Also 1, which lies beside the smallest number of a kind without sign."""
    path = tmp_path / "a.nc"
    packed(path, {}, lambda values: np.arange(values.size).reshape(values.shape) % 3, dtype)
    stored = (np.arange(256 * 18).reshape(256, 18) % 3).T
    assert np.array_equal(read_assembly(path).trials, stored)


def test_an_unwritten_count_is_missing(tmp_path):
    path = tmp_path / "a.nc"
    packed(path, {}, lambda values: np.where(np.arange(values.size).reshape(values.shape) == 3, 65535, 1), "u2")
    with pytest.raises(UserError, match="1 responses are not finite, the first of site Chabo_0 to im3"):
        read_assembly(path)


def test_two_variables_that_may_be_the_responses_are_refused(tmp_path):
    write_assembly(tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc", "a") as file:
        main = file["__xarray_dataarray_variable__"]
        noise = file.create_dataset("noise", data=np.zeros(main.shape))
        for axis in range(3):
            noise.dims[axis].attach_scale(main.dims[axis][0])
    with pytest.raises(UserError, match="__xarray_dataarray_variable__, noise may all be the responses"):
        read_assembly(tmp_path / "a.nc")


def test_what_is_no_assembly_is_said(tmp_path):
    path = tmp_path / "a.nc"
    write_assembly(path)
    with pytest.raises(UserError, match=r"a.nc: no site in region 'LO'; there are IT, V4"):
        read_assembly(path, "LO")
    with pytest.raises(UserError, match=r"no image of variation 6; there are V0, V3"):
        read_assembly(path, variation=6)
    with h5py.File(path, "a") as file:
        del file["region"]
    with pytest.raises(UserError, match=r"no label region of the neuroids; there are .*neuroid_id"):
        read_assembly(path)
    write_assembly(tmp_path / "nan.nc", spoil=lambda values: np.where(values == values[3, 7], np.nan, values))
    with pytest.raises(UserError, match="1 responses are not finite, the first of site Chabo_7 to im3"):
        read_assembly(tmp_path / "nan.nc")
    h5py.File(tmp_path / "empty.nc", "w").close()
    with pytest.raises(UserError, match=r"no variable over the dimensions presentation and neuroid.*nothing"):
        read_assembly(tmp_path / "empty.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(UserError, match=r"text.nc: not a readable assembly .* download it again"):
        read_assembly(tmp_path / "text.nc")
    with pytest.raises(UserError, match=r"gone\.nc"):
        read_assembly(tmp_path / "gone.nc")


def write_session(path, reverse=False, seed=0):
    values = np.random.default_rng(seed).integers(-3000, 3000, (8, 4, 3, 2)).astype(np.int16)
    with h5py.File(path, "w") as file:
        file["betas"] = values.transpose(0, 3, 2, 1) if reverse else values
    return values


def write_mask(path):
    mask = np.zeros((4, 3, 2), np.int16)
    mask[0], mask[1], mask[2, 0, 0] = 1, 2, 5
    with h5py.File(path, "w") as file:
        file["roi"] = mask
    return mask


@pytest.mark.parametrize("reverse", [False, True])
def test_betas_of_masked_voxels(tmp_path, reverse):
    betas, mask = write_session(tmp_path / "betas_session01.hdf5", reverse), write_mask(tmp_path / "prf.hdf5")
    regions = {"V1": Masked(tmp_path / "prf.hdf5", (1, 2)), "V4": Masked(tmp_path / "prf.hdf5", (5,))}
    names = ["b", "a", "c", "d"] * 2
    assembly = read_betas([tmp_path / "betas_session01.hdf5"], names, regions)
    assert assembly.regions.count("V1") == 12 and assembly.regions.count("V4") == 1
    voxel = betas[:, 2, 0, 0] / 300
    expected = ((voxel - voxel.mean()) / voxel.std()).reshape(2, 4).mean(0)[[1, 0, 2, 3]]
    assert np.allclose(assembly.in_region("V4").means()[:, 0], expected) and assembly.stimuli == tuple("abcd")
    assert mask[2, 0, 0] == 5


def test_betas_that_do_not_fit_are_said(tmp_path):
    session = tmp_path / "betas_session01.hdf5"
    write_session(session)
    write_mask(tmp_path / "prf.hdf5")
    regions = {"V1": Masked(tmp_path / "prf.hdf5", (1,))}
    with pytest.raises(UserError, match="8 trials in 1 files, but 3 names"):
        read_betas([session], list("abc"), regions)
    with pytest.raises(UserError, match=r"prf.hdf5: no voxel of LO has a value of \(9,\); there are 0, 1, 2, 5"):
        read_betas([session], list("abcdabcd"), {"LO": Masked(tmp_path / "prf.hdf5", (9,))})
    with h5py.File(session, "a") as file:
        file["betas"][:, 0, 0, 0] = 0
    with pytest.raises(UserError, match="1 voxels of the masks are constant"):
        read_betas([session], list("abcdabcd"), regions)
    with h5py.File(tmp_path / "small.hdf5", "w") as file:
        file["roi"] = np.ones((2, 2, 2))
    with pytest.raises(UserError, match="take one grid for both"):
        read_betas([session], list("abcdabcd"), {"V1": Masked(tmp_path / "small.hdf5", (1,))})


def test_nifti_needs_nibabel_or_says_so(tmp_path):
    write_session(tmp_path / "betas_session01.hdf5")
    try:
        import nibabel
    except ImportError:
        (tmp_path / "prf.nii.gz").write_bytes(b"x")
        with pytest.raises(UserError, match="pip install nibabel"):
            read_betas([tmp_path / "betas_session01.hdf5"], ["a"] * 8, {"V1": Masked(tmp_path / "prf.nii.gz", (1,))})
        return
    nibabel.save(nibabel.Nifti1Image(write_mask(tmp_path / "prf.hdf5"), np.eye(4)), tmp_path / "prf.nii.gz")
    two = (
        read_betas([tmp_path / "betas_session01.hdf5"], list("abcdabcd"), {"V1": Masked(tmp_path / name, (1,))})
        for name in ("prf.nii.gz", "prf.hdf5")
    )
    assert np.array_equal(*(one.means() for one in two))


def test_rdms_from_every_kind_of_file(tmp_path):
    square = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    np.save(tmp_path / "one.npy", square)
    np.savez(tmp_path / "two.npz", a=square, b=2 * square)
    np.savetxt(tmp_path / "three.csv", square, delimiter=",")
    np.savetxt(tmp_path / "four.txt", square)
    assert read_rdms(tmp_path / "one.npy")["one"].tolist() == [1, 2, 3, 1, 2, 1]
    assert {name: values[0] for name, values in read_rdms(tmp_path / "two.npz").items()} == {"a": 1, "b": 2}
    assert read_rdms(tmp_path / "three.csv")["three"].tolist() == read_rdms(tmp_path / "four.txt")["four"].tolist()
    text = (tmp_path / "three.csv").read_text()
    for encoding in ("utf-8-sig", "utf-16"):  # as spreadsheets save it, some with semicolons
        for between in (",", ";"):
            (tmp_path / "six.csv").write_bytes(text.replace(",", between).replace("\n", "\r\n").encode(encoding))
            assert read_rdms(tmp_path / "six.csv")["six"].tolist() == [1, 2, 3, 1, 2, 1]
    np.save(tmp_path / "one.npy", square + 1)
    with pytest.raises(UserError, match=r"one.npy, one: its diagonal is not 0"):
        read_rdms(tmp_path / "one.npy")
    (tmp_path / "four.txt").write_text("a b")
    with pytest.raises(UserError, match=r"four.txt: not a readable .txt file of RDMs"):
        read_rdms(tmp_path / "four.txt")
    with pytest.raises(UserError, match=r"five.doc: RDMs are read from .mat"):
        read_rdms(tmp_path / "five.doc")
