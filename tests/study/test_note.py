"""What is noted of ratings that lie outside the project."""

import pytest

from labelsplat.base import LabelsplatError, read_json
from labelsplat.base.layout import Layout
from labelsplat.study.note import note_ratings


def test_a_simulated_panel_has_no_file(tmp_path):
    note_ratings(Layout(tmp_path), "")
    assert read_json(Layout(tmp_path).ratings_note) == {}


def test_a_change_of_content_is_seen_and_a_touch_is_not(tmp_path):
    layout, file = Layout(tmp_path / "project"), tmp_path / "ratings.csv"
    notes = []
    for text in ("study,rater", "study,rater", "study,rater,origin"):
        file.write_text(text, encoding="utf-8")
        note_ratings(layout, str(file))
        notes.append(read_json(layout.ratings_note))
    assert notes[0] == notes[1] != notes[2] and set(notes[2]) == {"ratings.csv"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LabelsplatError, match=r"params\.yaml.*'lost\.csv'.*simulated"):
        note_ratings(Layout(tmp_path), "lost.csv")
