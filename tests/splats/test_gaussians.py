"""The Gaussians themselves, and both of their files."""

import numpy as np
import pytest
import torch

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.labels import Vocabulary
from labelsplat.splats import (
    Gaussians,
    read_gaussians,
    read_label_sidecar,
    read_ply,
    write_gaussians,
    write_label_sidecar,
    write_ply,
)
from labelsplat.splats.gaussians import harmonic_basis
from labelsplat.splats.ply import SH_0


@pytest.fixture
def gaussians(make_scene):
    plain = make_scene(17, dtype=torch.float32).gaussians
    logits = torch.randn(17, 4, generator=torch.Generator().manual_seed(1))
    return Gaussians(**plain.tensors(), label_logits=logits)


def same(a, b):
    return a.tensors().keys() == b.tensors().keys() and all(
        torch.equal(tensor, b.tensors()[name]) for name, tensor in a.tensors().items()
    )


def test_activations(gaussians):
    assert len(gaussians) == 17
    torch.testing.assert_close(gaussians.scales.log(), gaussians.log_scales)
    torch.testing.assert_close(gaussians.opacities.logit(), gaussians.opacity_logits)
    torch.testing.assert_close(gaussians.label_probabilities.sum(-1), torch.ones(17))


def test_select_keeps_rows_together(gaussians):
    mask = torch.arange(17) % 3 == 1
    picked = gaussians.select(mask)
    assert len(picked) == 6
    for name, tensor in picked.tensors().items():
        assert torch.equal(tensor, gaussians.tensors()[name][mask])
    again = gaussians.select(torch.tensor([4, 4, 0]))
    assert torch.equal(again.means[1], gaussians.means[4])


@pytest.mark.parametrize("name", ["means", "quaternions", "opacity_logits", "label_logits"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_finite_finds_every_bad_number(gaussians, name, value):
    assert gaussians.finite().all()
    gaussians.tensors()[name].reshape(17, -1)[5, -1] = value
    assert gaussians.finite().tolist() == [i != 5 for i in range(17)]


def test_shapes_that_do_not_fit_are_refused(gaussians):
    with pytest.raises(ParameterError, match=r"quaternions: shape \(16, 4\), wanted \(17, 4\)"):
        Gaussians(**{**gaussians.tensors(), "quaternions": gaussians.quaternions[1:]})
    with pytest.raises(ParameterError, match="means"):
        Gaussians(**{**gaussians.tensors(), "means": gaussians.means[:, :2]})


@pytest.mark.parametrize("labels", [True, False])
def test_safetensors_round_trip(gaussians, tmp_path, labels):
    if not labels:
        gaussians = Gaussians(**{**gaussians.tensors(), "label_logits": None})
    metadata = {"subject": "7", "steps": 1500, "classes": ["skin", "nose"], "note": "naïve"}
    path = tmp_path / "deep" / "head.safetensors"
    write_gaussians(path, gaussians, metadata)
    again, read = read_gaussians(path)
    assert same(gaussians, again) and read == metadata
    first = path.read_bytes()
    write_gaussians(path, gaussians, metadata)
    assert path.read_bytes() == first  # same bytes for the same Gaussians
    assert [p.name for p in path.parent.iterdir()] == ["head.safetensors"]


def test_graphs_and_strides_do_not_reach_the_file(gaussians, tmp_path):
    tracked = gaussians.apply(lambda t: t.clone().requires_grad_() * 1)
    write_gaussians(tmp_path / "a.safetensors", tracked.select(torch.arange(17)))
    assert same(read_gaussians(tmp_path / "a.safetensors")[0], gaussians)


def test_a_failed_write_leaves_the_old_file(gaussians, tmp_path):
    path = tmp_path / "head.safetensors"
    write_gaussians(path, gaussians)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_gaussians(path, gaussians, {"loss": float("nan")})
    assert path.read_bytes() == before


def test_bad_safetensors_are_named(gaussians, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "head.safetensors"
    with pytest.raises(LabelsplatError, match=r"head\.safetensors: the file is missing"):
        read_gaussians(path)
    write_gaussians(path, gaussians)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LabelsplatError, match=r"head\.safetensors: not a whole safetensors file"):
        read_gaussians(path)
    save_file({"means": torch.zeros(3)}, path)
    with pytest.raises(LabelsplatError, match="format None"):
        read_gaussians(path)


def test_ply_round_trip(gaussians, tmp_path):
    path = tmp_path / "head.ply"
    write_ply(path, gaussians)
    again = read_ply(path)
    for name in ("means", "log_scales", "opacity_logits"):
        assert torch.equal(again.tensors()[name], gaussians.tensors()[name])
    torch.testing.assert_close(again.colours, gaussians.colours, atol=1e-6, rtol=0)
    unit = torch.nn.functional.normalize(gaussians.quaternions, dim=-1)
    torch.testing.assert_close(again.quaternions, unit)
    assert again.label_logits is None


def test_ply_is_laid_out_as_viewers_expect(gaussians, tmp_path):
    path = tmp_path / "head.ply"
    write_ply(path, gaussians)
    head, _, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 17"]
    names = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2"
    assert lines[3:] == [f"property float {name}" for name in (names + " rot_3").split()]
    rows = np.frombuffer(body, "<f4").reshape(17, 17)
    np.testing.assert_array_equal(rows[:, :3], gaussians.means)
    np.testing.assert_allclose(0.5 + SH_0 * rows[:, 6:9], gaussians.colours, atol=1e-6)
    np.testing.assert_array_equal(rows[:, 9], gaussians.opacity_logits)


def test_ply_in_other_colours_leaves_broken_gaussians_out(gaussians, tmp_path):
    gaussians.means[3, 0] = float("nan")
    palette = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    colours = palette[gaussians.label_logits.argmax(-1)]
    write_ply(tmp_path / "labels.ply", gaussians, colours)
    again = read_ply(tmp_path / "labels.ply")
    good = torch.arange(17) != 3
    torch.testing.assert_close(again.colours, colours[good], atol=1e-6, rtol=0)
    with pytest.raises(ParameterError, match=r"colours: shape \(16, 3\), wanted \(17, 3\)"):
        write_ply(tmp_path / "labels.ply", gaussians, colours[1:])


def test_ply_of_others_is_read(tmp_path):
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "red", "opacity"]
    names += ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    names += [f"f_rest_{i}" for i in range(9)]  # zeros: many programs write them unasked
    layout = np.dtype([(n, "u1" if n == "red" else "<f4") for n in names])
    rows = np.zeros(2, layout)
    rows["z"], rows["red"], rows["rot_0"], rows["opacity"] = [1, 2], 200, 1, [-1, 3]
    kinds = [f"property {'uchar' if n == 'red' else 'float'} {n}" for n in names]
    header = ["ply", "format binary_little_endian 1.0", "comment by another program"]
    header += ["element vertex 2", *kinds, "element face 0", "property list uchar int vertex_index"]
    path = tmp_path / "other.ply"
    path.write_bytes("\n".join([*header, "end_header", ""]).encode() + rows.tobytes())
    again = read_ply(path)
    assert again.means[:, 2].tolist() == [1, 2] and again.opacity_logits.tolist() == [-1, 3]
    assert again.colours[0].tolist() == [0.5, 0.5, 0.5] and again.harmonics is None
    path.write_bytes(path.read_bytes().replace(b"f_rest_8", b"f_what_8"))
    with pytest.raises(LabelsplatError, match="8 properties f_rest, wanted 9, 24 or 45"):
        read_ply(path)


START = b"ply\nformat binary_little_endian 1.0\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "no ply header"),
        (b"ply\nformat ascii 1.0\nend_header\n", "not a binary little-endian ply"),
        (
            START + b"element face 2\nend_header\n",
            "the first element is not the vertices",
        ),
        (
            START + b"element vertex 2\nproperty float x\nend_header\n",
            "0 bytes of vertices, wanted 8",
        ),
        (
            START + b"element vertex 1\nproperty float x\nend_header\n\0\0\0\0",
            "no property y, z",
        ),
        (
            START + b"element vertex 1\nproperty list uchar int x\nend_header\n",
            "cannot read 'property list",
        ),
    ],
)
def test_bad_plys_are_named(tmp_path, content, message):
    path = tmp_path / "bad.ply"
    path.write_bytes(content)
    with pytest.raises(LabelsplatError, match=message) as error:
        read_ply(path)
    assert "bad.ply" in str(error.value)
    with pytest.raises(LabelsplatError, match="the file is missing"):
        read_ply(tmp_path / "absent.ply")


# -- spherical harmonics --------------------------------------------------------------------------
def with_harmonics(gaussians, bands):
    draw = torch.Generator().manual_seed(bands)
    values = 0.1 * torch.randn(len(gaussians), bands, 3, generator=draw)
    return Gaussians(**{**gaussians.tensors(), "harmonics": values})


def test_harmonics_are_orthonormal():
    """Over the sphere, and to the constant that stands for degree 0; by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    phi = np.arange(24) * np.pi / 12
    z, p = (a.ravel() for a in np.meshgrid(nodes, phi, indexing="ij"))
    r = np.sqrt(1 - z * z)
    rays = torch.from_numpy(np.stack([r * np.cos(p), r * np.sin(p), z], -1))
    area = torch.from_numpy(np.repeat(weights, 24) * np.pi / 12)
    basis = torch.cat([rays.new_full((len(rays), 1), SH_0), harmonic_basis(rays)], 1)
    products = torch.einsum("rb,rc,r->bc", basis, basis, area)
    torch.testing.assert_close(products, torch.eye(16, dtype=rays.dtype), atol=1e-12, rtol=0)


def test_harmonics_of_degree_one_are_a_slope(gaussians):
    """Signs as in 3D Gaussian Splatting: -y, z, -x."""
    values = torch.zeros(17, 3, 3)
    values[:, :, 0] = torch.tensor([1.0, 10.0, 100.0])
    seen = Gaussians(**{**gaussians.tensors(), "colours": torch.full((17, 3), 500.0)})
    seen = Gaussians(**{**seen.tensors(), "harmonics": values})
    centre = torch.tensor([[0.3, -0.2, 2.0]])
    rays = torch.nn.functional.normalize(gaussians.means - centre, dim=-1)
    wanted = 500 + 0.4886025119029199 * (rays @ torch.tensor([-100.0, -1.0, 10.0]))
    torch.testing.assert_close(seen.colours_from(centre)[0, :, 0], wanted)
    assert torch.equal(seen.colours_from(centre)[0, :, 1], torch.full((17,), 500.0))


@pytest.mark.parametrize("bands", [3, 8, 15])
def test_harmonics_survive_both_files(gaussians, tmp_path, bands):
    given = with_harmonics(gaussians, bands)
    write_gaussians(tmp_path / "a.safetensors", given)
    assert same(read_gaussians(tmp_path / "a.safetensors")[0], given)
    write_ply(tmp_path / "a.ply", given)
    found = read_ply(tmp_path / "a.ply")
    torch.testing.assert_close(found.harmonics, given.harmonics)
    header = (tmp_path / "a.ply").read_bytes().partition(b"end_header")[0].decode()
    assert f"f_rest_{3 * bands - 1}" in header and f"f_rest_{3 * bands}" not in header
    # Colours of labels are the same from every side.
    write_ply(tmp_path / "b.ply", given, torch.rand(17, 3))
    assert read_ply(tmp_path / "b.ply").harmonics is None


def test_harmonics_of_another_degree_are_refused(gaussians):
    with pytest.raises(ParameterError, match="harmonics"):
        with_harmonics(gaussians, 5)


def test_gsplat_reads_our_order_of_coefficients(gaussians, tmp_path):
    """Against gsplat's own writer: f_rest runs colour by colour."""
    exporter = pytest.importorskip("gsplat").exporter
    given = with_harmonics(gaussians, 8)
    sh0 = ((given.colours - 0.5) / SH_0)[:, None]
    exporter.export_splats(
        given.means, given.log_scales, given.quaternions, given.opacity_logits, sh0,
        given.harmonics, format="ply", save_to=str(tmp_path / "theirs.ply"),
    )  # fmt: skip
    theirs = read_ply(tmp_path / "theirs.ply")
    torch.testing.assert_close(theirs.harmonics, given.harmonics)
    torch.testing.assert_close(theirs.colours, given.colours)


# -- labels beside a ply --------------------------------------------------------------------------
FOUR = Vocabulary("four", ("a", "b", "c", "d"), ((0, 0, 0),) * 4)
TWO = Vocabulary("two", ("a", "b"), ((0, 0, 0),) * 2)


def test_label_sidecar_fits_the_ply_row_by_row(gaussians, tmp_path):
    gaussians.tensors()["means"][3, 1] = float("nan")
    gaussians.tensors()["label_logits"][5, 2] = float("nan")
    write_ply(tmp_path / "a.ply", gaussians)
    write_label_sidecar(tmp_path / "a.npz", gaussians, FOUR)
    labels, probabilities, classes = read_label_sidecar(tmp_path / "a.npz")
    assert classes == FOUR.classes
    assert len(labels) == len(probabilities) == len(read_ply(tmp_path / "a.ply")) == 16
    wanted = gaussians.label_probabilities[torch.arange(17) != 3].numpy()
    np.testing.assert_allclose(probabilities, wanted, atol=1e-3)
    known = np.isfinite(wanted).all(1)
    np.testing.assert_array_equal(labels[known], wanted[known].argmax(1))


def test_label_sidecar_faults(gaussians, tmp_path):
    with pytest.raises(ParameterError, match="4 classes, wanted 2"):
        write_label_sidecar(tmp_path / "a.npz", gaussians, TWO)
    with pytest.raises(LabelsplatError, match="missing"):
        read_label_sidecar(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    with pytest.raises(LabelsplatError, match="no label sidecar"):
        read_label_sidecar(tmp_path / "a.npz")
