"""Files of figures, and how they show themselves."""

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from labelsplat import viz


@pytest.fixture
def figure():
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    return viz.label_sheet([[picture, picture]], ["row"], ["a", "b"])


def test_same_figure_same_bytes_without_version_or_date(tmp_path, figure):
    for name in ("a.png", "b.png"):
        viz.save_figure(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert not {"Software", "date:create", "Creation Time"} & image.info.keys()


def test_fewer_colours_make_a_smaller_file(tmp_path, figure):
    viz.save_figure(figure, tmp_path / "full.png")
    viz.save_figure(figure, tmp_path / "few.png", colours=64)
    assert (tmp_path / "few.png").stat().st_size < (tmp_path / "full.png").stat().st_size
    with Image.open(tmp_path / "few.png") as few, Image.open(tmp_path / "full.png") as full:
        assert few.size == full.size
        assert len(few.convert("RGB").getcolors()) <= 64


def test_saving_makes_folders_and_hands_the_figure_on(tmp_path, figure):
    assert viz.save_figure(figure, tmp_path / "new" / "a.png") is figure
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


def test_figures_show_themselves_and_are_not_pyplots(figure):
    import matplotlib.pyplot as plt

    assert figure._repr_png_()[:4] == b"\x89PNG"
    assert plt.get_fignums() == []


def test_drawing_leaves_the_users_settings_alone(figure):
    with mpl.rc_context({"font.size": 23.0}):
        viz.plot_rig(np.zeros((2, 2)))
        assert mpl.rcParams["font.size"] == 23.0
        viz.use_style()
        assert mpl.rcParams["font.size"] == viz.STYLE["font.size"]
