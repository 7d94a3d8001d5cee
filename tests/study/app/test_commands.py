"""The commands, the app as a process, and the load."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from labelsplat.__main__ import main
from labelsplat.base import LabelsplatError, read_json
from labelsplat.study.load import run_load
from labelsplat.study.package import read_package
from labelsplat.study.process import AppProcess
from labelsplat.study.sample import write_sample_package
from labelsplat.study.serve import is_local, listen, read_information
from labelsplat.study.store import Store

# -- commands ------------------------------------------------------------------------------------


def run(*words):
    return main(["study", *map(str, words)])


def test_commands_from_links_to_export(tmp_path, package, capsys, clock):
    at = ["--package", package.root, "--database", tmp_path / "a" / "s.sqlite"]
    words = ["tokens", "--count", 2, "--base", "https://lab.test/study", "--origin", "human"]
    assert run(*words, *at) == 0
    told = capsys.readouterr().out
    (path,) = (tmp_path / "a").glob("links-*.csv")
    assert str(path) in told and "https://" not in told  # not on the screen, not in its history
    rows = path.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["r001", "r002"]
    token = rows[0].rpartition("/s/")[2]
    assert rows[0].endswith(f",https://lab.test/study/s/{token}")

    store = Store(tmp_path / "a" / "s.sqlite", package)
    rater = store.rater(token)
    order = package.order(rater.slot)
    store.consent(rater.id, 1.0)
    store.show(rater.id, order[0], 5.0)
    store.answer(rater.id, order, order[0], 5, 6.0)

    assert run("progress", *at[2:]) == 0
    assert re.search(r"r001 +human +1/6", capsys.readouterr().out)
    out = tmp_path / "ratings.csv"
    assert run("export", out, *at[2:]) == 0
    assert len(out.read_text().splitlines()) == 2
    assert run("erase", "r001", *at[2:]) == 1  # nobody is there to confirm
    assert len(store.answers()) == 1
    assert run("erase", "r001", "--yes", *at[2:]) == 0
    assert store.answers() == [] and store.rater(token) is None
    assert run("export", out, *at[2:]) == 1
    assert "no ratings" in capsys.readouterr().err
    store.close()


def test_links_on_the_screen_if_asked_for(tmp_path, package, capsys):
    at = ["--package", package.root, "--database", tmp_path / "s.sqlite"]
    assert run("tokens", "--count", 1, "--origin", "script", "--out", "-", *at) == 0
    assert re.search(r"^r001  http://127\.0\.0\.1:8765/s/[\w-]{43}$", capsys.readouterr().out, re.M)
    assert not list(tmp_path.glob("*.csv"))


def test_commands_name_what_is_missing(tmp_path, package, capsys):
    assert run("serve", "--package", tmp_path, "--database", tmp_path / "s") == 1
    assert "no item package here" in capsys.readouterr().err
    assert run("progress", "--database", tmp_path / "none") == 1
    assert "make study" in capsys.readouterr().err
    at = ["--package", package.root, "--database", tmp_path / "t", "--origin", "script"]
    assert run("tokens", "--count", 0, *at) == 1


def test_nobody_becomes_a_person_by_default(tmp_path, package, capsys):
    """Whoever tries the app must not make what counts as people's ratings."""
    at = ["--package", package.root, "--database", tmp_path / "s.sqlite"]
    with pytest.raises(SystemExit):
        run("tokens", "--count", 2, *at)
    assert "--origin" in capsys.readouterr().err
    assert not (tmp_path / "s.sqlite").exists()


def test_a_port_that_is_taken(tmp_path):
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(LabelsplatError, match=f"{port}.*--port"):
            listen("127.0.0.1", port)
    with pytest.raises(LabelsplatError, match="nowhere"):
        listen("nowhere.invalid", 0)


def test_what_is_local():
    assert [is_local(h) for h in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_local(h) for h in ("0.0.0.0", "192.168.1.4", "lab.test", "::")] == [False] * 4


def test_the_labs_own_information(tmp_path):
    path = tmp_path / "about.txt"
    path.write_text("We study\nfaces.\n\n\n  Room 12. \n", encoding="utf-8")
    assert read_information(path) == ("We study faces.", "Room 12.")
    assert read_information(None) == ()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelsplatError, match=r"about\.txt"):
        read_information(path)


def test_sample_packages_are_packages_and_repeat(tmp_path):
    a = write_sample_package(tmp_path / "a", items=4, seed=5)
    b = write_sample_package(tmp_path / "b", items=4, seed=5)
    assert read_json(a / "manifest.json") == read_json(b / "manifest.json")
    assert len(read_package(b).orders[0]) == 4
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(LabelsplatError, match="no item package"):
        write_sample_package(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


# -- as a process --------------------------------------------------------------------------------


def test_the_running_app_tells_no_token_and_listens_here_alone(tmp_path, package):
    """Not even a wrong one, nor in its log: addresses are secrets."""
    words = [sys.executable, "-m", "labelsplat", "study", "serve", "--port", "0"]
    words += ["--package", str(package.root), "--database", str(tmp_path / "s.sqlite")]
    library = str(Path(read_package.__code__.co_filename).parents[2])
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": library},
    )  # fmt: skip
    first = process.stdout.readline()
    try:
        port = int(re.search(r"127\.0\.0\.1:(\d+);", first)[1])
        hint = process.stdout.readline()
        assert f"{sys.executable} -m labelsplat study tokens" in hint
        assert "--origin script" in hint and "human" not in hint
        assert "--origin human" in process.stdout.readline()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
            sock.sendall(
                b"GET /s/secret-of-somebody HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            reply = b"".join(iter(lambda: sock.recv(4096), b""))
        assert reply.startswith(b"HTTP/1.1 404") and b"uvicorn" not in reply.lower()
    finally:
        process.terminate()
        rest = process.communicate(timeout=20)[0]
    assert "secret" not in rest and process.returncode in (-15, 143)


def test_a_little_load_loses_nothing():
    found = run_load(raters=6, seconds=2.0, pause=0.2)
    assert found["errors"] == found["lost"] == found["doubled"] == 0
    assert found["acknowledged"] == found["rows"] > 6
    assert found["p50"] <= found["p95"] <= found["max"]


def test_a_load_that_cannot_be(tmp_path):
    with pytest.raises(LabelsplatError, match="0 raters"):
        run_load(raters=0)
    with pytest.raises(LabelsplatError, match="does not start"):
        AppProcess(tmp_path, tmp_path / "s.sqlite")


def test_the_readme_quotes_the_load_that_was_measured():
    root = Path(__file__).parents[3]
    found = read_json(root / "reports" / "metrics" / "study_load.json")
    text = (root / "README.md").read_text(encoding="utf-8")
    said = " ".join(text.split("<!-- load:begin -->")[1].split("<!-- load:end -->")[0].split())
    assert said == (
        f"Fifty scripted raters who answered for {found['seconds']:.0f} seconds on "
        f"{found['cores']} cores got {found['acknowledged']:,} answers confirmed, 95 % of them "
        f"within {found['p95']} ms; {found['errors']} errors, {found['lost']} answers lost, "
        f"{found['doubled']} doubled."
    )
    assert found["raters"] == 50 and found["rows"] == found["acknowledged"]
