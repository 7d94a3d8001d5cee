"""What evaluation hands on for people to judge."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from labelsplat.base import read_json, write_json
from labelsplat.evaluate import arm_files
from labelsplat.evaluate import judged as module
from labelsplat.evaluate.arms import predict_labels, true_heads
from labelsplat.evaluate.judged import Judged, captures_to_judge, subjects_to_judge, write_judged
from labelsplat.labels import CELEBAMASK, IGNORE, LAPA
from labelsplat.parsing import load_checkpoint

ARMS = ["baseline", "self_training", "refined", "oracle"]
SIZE = 24


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode in ("P", "RGB")
        return np.array(image)


def judge(layout, rounds):
    from labelsplat.evaluate import evaluate_line

    evaluate_line(layout, rounds=rounds, size=SIZE, em_epochs=1, bootstrap=10, device="cpu")
    return layout.judged


@pytest.fixture(scope="module")
def folder(project, rounds):
    return judge(project, rounds)


def naive_miou(labels: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the scored classes that the truth shows, pixel by pixel sets."""
    seen = truth != IGNORE
    values = []
    for index, name in enumerate(CELEBAMASK.classes):
        a, b = (labels == index) & seen, (truth == index) & seen
        if name not in CELEBAMASK.unscored and b.any():
            values.append((a & b).sum() / (a | b).sum())
    return float(np.mean(values))


def test_every_photo_has_a_map_of_every_method(folder, project, rounds):
    facts = read_json(folder / "judged.json")
    assert facts["methods"] == [*ARMS, "reference"]
    assert facts["set"] == "test" and facts["unseen"] and facts["reference"]
    assert facts["classes"] == list(CELEBAMASK.classes)
    files = arm_files(project, rounds)
    nets = {arm: load_checkpoint(files[arm]).net for arm in ARMS}
    scores = pd.read_csv(folder / "scores.csv", dtype={"view": str})
    table = scores.set_index(["subject", "view", "method"])["miou"]
    count = 0
    for head in true_heads(project.test_photos, project.test_truth, SIZE):
        p = head.photos
        maps = {arm: predict_labels(net, p.images, "cpu") for arm, net in nets.items()}
        maps["reference"] = head.labels
        for i, view in enumerate(p.names):
            photo = read(folder / "photos" / p.subject / f"{view}.png")
            np.testing.assert_array_equal(photo, p.images[i])
            for method, labels in maps.items():
                count += 1
                written = read(folder / "masks" / method / p.subject / f"{view}.png")
                expected = np.where(p.valid[i], labels[i], IGNORE)
                np.testing.assert_array_equal(written, expected)
                wanted = naive_miou(written, maps["reference"][i])
                assert table[p.subject, view, method] == pytest.approx(wanted, abs=1e-6)
    assert count == len(scores) == 3 * 7 * 5
    assert (scores[scores.method == "reference"].miou == 1).all()


def test_images_tell_how_they_are_posed(folder):
    images = pd.read_csv(folder / "images.csv", dtype={"identity": str})
    assert len(images) == 3 * 7 and set(images.identity) == {"301", "302", "303"}
    assert list(images.stratum[:7]) == [
        "standard", "middle", "extreme", "extreme", "extreme", "extreme", "behind",
    ]  # fmt: skip


def test_without_truth_the_captures_are_judged_by_publishable_faces(
    project_without_truth, rounds, monkeypatch
):
    monkeypatch.setattr(module, "shown_subjects", lambda layout: ["202/1_neutral"])
    folder = judge(project_without_truth, rounds)
    facts = read_json(folder / "judged.json")
    assert facts["set"] == "capture" and not facts["unseen"] and not facts["reference"]
    assert facts["methods"] == ARMS[:-1]
    assert pd.read_csv(folder / "scores.csv").empty
    images = pd.read_csv(folder / "images.csv")
    assert set(images.subject) == {"202/1_neutral"} and len(images) == 5
    files = sorted(p.relative_to(folder).parts[:2] for p in folder.rglob("*.png"))
    assert {parts[1] for parts in files if parts[0] == "masks"} == set(ARMS[:-1])
    assert not [p for p in folder.rglob("*") if "201" in p.parts]


def test_a_list_of_publishable_faces_is_heeded(project_without_truth, rounds):
    layout = project_without_truth
    note = layout.capture / "capture.json"
    write_json(
        note,
        {
            "source": "facescape",
            "root": str(layout.capture),
            "views": {"201/1_neutral": 5, "202/1_neutral": 5},
            "shown": ["201/1_neutral"],
        },
    )
    try:
        files = arm_files(layout, rounds)
        found = [one.photos.subject for one in captures_to_judge(layout, files, SIZE, "cpu")]
    finally:
        note.unlink()
    assert found == ["201/1_neutral"]


def test_of_a_set_that_tells_less_apart_all_maps_are_in_its_classes(tmp_path, project):
    head = next(iter(true_heads(project.test_photos, project.test_truth, SIZE)))
    one = Judged(head.photos, {"baseline": head.labels[:, ::-1]}, head.labels)
    with write_judged(tmp_path / "judged", unseen=True, vocabulary=LAPA) as add:
        add(one)
    facts = read_json(tmp_path / "judged/judged.json")
    assert facts["vocabulary"] == LAPA.name and facts["methods"] == ["baseline", "reference"]
    for path in (tmp_path / "judged/masks").rglob("*.png"):
        values = read(path)
        assert (values[values != IGNORE] < len(LAPA)).all()


def test_an_interrupted_writing_leaves_what_was_there(tmp_path, folder):
    def digest() -> str:
        parts = [p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    before = digest()
    with pytest.raises(RuntimeError), write_judged(folder, unseen=True):
        raise RuntimeError
    assert digest() == before


def test_large_sets_are_thinned_evenly():
    names = [f"{i:05d}" for i in range(3000)]
    taken = sorted(subjects_to_judge(names))
    assert len(taken) == module.MOST_SUBJECTS and taken[0] == names[0] and taken[-1] == names[-1]
    assert max(np.diff(np.array(taken, int))) <= 6
    assert subjects_to_judge(names[:7]) == set(names[:7])
