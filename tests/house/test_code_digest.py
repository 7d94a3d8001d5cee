"""The digest by which checkpoints know their code."""

from labelsplat.base.code import code_digest


def test_the_digest_of_code_minds_names_and_text(tmp_path):
    def digest(**files):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "notes.txt").write_text(str(files))
        return code_digest(tmp_path)

    known = digest(a="x = 1", b="y = 2")
    assert known == digest(b="y = 2", a="x = 1")
    others = digest(a="x = 1", b="y = 3"), digest(a="x = 1", c="y = 2"), digest(a="x = 1y = 2")
    assert len({known, *others}) == 4
    assert code_digest(tmp_path, tmp_path) != code_digest(tmp_path)
