"""What is noted of a study that lies outside the project."""

import pytest

from labelsplat.base import LabelsplatError, read_json
from labelsplat.base.layout import Layout
from labelsplat.study.note import note_ratings

NOTHING = {"ratings": "", "package": "", "key": "", "design": "acr"}


def test_a_simulated_panel_has_no_file(tmp_path):
    note_ratings(Layout(tmp_path), NOTHING)
    assert read_json(Layout(tmp_path).ratings_note) == {}


@pytest.mark.parametrize("name", ["ratings", "package", "key"])
def test_a_change_of_content_is_seen_and_a_touch_is_not(tmp_path, name):
    layout, named = Layout(tmp_path / "project"), tmp_path / "there"
    file = named / "manifest.json" if name == "package" else named
    file.parent.mkdir(parents=True, exist_ok=True)
    notes = []
    for text in ("study,rater", "study,rater", "study,rater,origin"):
        file.write_text(text, encoding="utf-8")
        note_ratings(layout, NOTHING | {name: str(named)})
        notes.append(read_json(layout.ratings_note))
    assert notes[0] == notes[1] != notes[2] and set(notes[2]) == {name}


@pytest.mark.parametrize("name", ["ratings", "package", "key"])
def test_what_is_missing_is_named(tmp_path, name):
    with pytest.raises(LabelsplatError, match=rf"params\.yaml.*study\.{name} is 'lost'.*Name "):
        note_ratings(Layout(tmp_path), NOTHING | {name: "lost"})
