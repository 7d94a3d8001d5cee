"""``labelsplat study ...``: serve, tokens, progress, export, backup, erase.

Reached as ``python -m labelsplat study``; only the command that runs imports the web framework.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from labelsplat.base.layout import Layout, is_project_root
from labelsplat.study.package import ORIGINS

PORT = 8765
"""Of ``make study``."""


def add_study_commands(commands: Any) -> None:
    """Add ``study`` and its sub-commands to ``argparse``'s sub-parsers.

    Args:
        commands: what ``ArgumentParser.add_subparsers`` returned; the chosen command's function
            is its default ``do``, as of all commands.
    """
    study = commands.add_parser("study", help="the human study: serve it, issue links, export")
    inner = study.add_subparsers(dest="study_command", required=True)

    serve = _command(inner, "serve", _serve, "run the rating app")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; this machine")
    serve.add_argument("--port", type=int, default=PORT, help=f"{PORT}; 0 takes any free one")
    serve.add_argument("--contact", default="", help="whom raters may ask: name, e-mail")
    serve.add_argument(
        "--information", type=Path, metavar="TXT", help="your own paragraphs for the consent page"
    )

    tokens = _command(inner, "tokens", _tokens, "issue personal links")
    tokens.add_argument("--count", type=int, required=True, help="how many raters")
    tokens.add_argument(
        "--base", default=f"http://127.0.0.1:{PORT}", help="the address that raters will open"
    )
    tokens.add_argument(
        "--origin", choices=ORIGINS, required=True,
        help="who will answer: people, or a script (your own trials, too); it stays with every "
        "rating and cannot be changed",
    )  # fmt: skip
    tokens.add_argument(
        "--out", help="CSV to write, readable by you alone; - prints; by default beside the answers"
    )

    _command(inner, "progress", _progress, "who has answered how much")

    export = _command(inner, "export", _export, "write the ratings as CSV")
    export.add_argument("out", type=Path, nargs="?", help="by default ratings.csv by the answers")
    export.add_argument("--origin", choices=ORIGINS, help="of these raters alone")

    backup = _command(inner, "backup", _backup, "copy all answers, also while the app runs")
    backup.add_argument("out", type=Path, nargs="?", help="a new file; by default by the answers")

    erase = _command(inner, "erase", _erase, "erase all data of a rater, for good")
    erase.add_argument("rater", help="pseudonym, e.g. r007")
    erase.add_argument("--yes", action="store_true", help="do not ask")


def _command(inner: Any, name: str, do: Any, text: str) -> argparse.ArgumentParser:
    found = inner.add_parser(name, help=text)
    if name in ("serve", "tokens"):
        found.add_argument(
            "--package", type=Path, help="item package; by default data/study/package"
        )
    found.add_argument("--database", type=Path, help="by default answers/study.sqlite")
    found.set_defaults(do=do)
    return found


def _layout() -> Layout:
    # Of the project that one stands in, as for all commands.
    return Layout(Path.cwd()) if is_project_root(Path.cwd()) else Layout.find()


def _package_path(options: argparse.Namespace) -> Path:
    return options.package or _layout().study_package


def _package(options: argparse.Namespace, *, digests: bool = True) -> Any:
    from labelsplat.base import LabelsplatError
    from labelsplat.study.package import read_package

    path = _package_path(options)
    if not (path / "manifest.json").is_file():
        raise LabelsplatError(
            "no item package here",
            where=path,
            remedy="Make one by `make repro`, or name one by --package",
        )
    return read_package(path, digests=digests)


def _store(options: argparse.Namespace, package: Any = None) -> Any:
    from labelsplat.study.store import Store

    return Store(options.database or _layout().answers, package)


def _serve(options: argparse.Namespace) -> None:
    from labelsplat.study.app import Study
    from labelsplat.study.serve import is_local, listen, read_information, serve

    information = read_information(options.information)
    package = _package(options)
    store = _store(options, package)
    sock = listen(options.host, options.port)
    host, port = sock.getsockname()[:2]
    at = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"study: {package.title!r} ({package.study}) runs at {at}; end it by Ctrl-C")
    if not is_local(options.host):
        print(
            "study: other machines can reach it, and nothing is encrypted on the way: put a "
            "proxy with https before it"
        )
    if not store.raters():
        print(f"study: nobody can take part yet. Links to try it out: {_tokens_hint(options, at)}")
        print("study: of people's links say --origin human; what they answer counts as people's")
    sys.stdout.flush()
    try:
        serve(Study(package, store, options.contact, information), sock)
    finally:
        store.close()


def _tokens_hint(options: argparse.Namespace, at: str) -> str:
    # By the Python that runs this: `python` alone may be another one, without these packages.
    words = [sys.executable, "-m", "labelsplat", "study", "tokens"]
    words += ["--count", "3", "--origin", "script", "--base", at]
    for name in ("package", "database"):
        if getattr(options, name) is not None:
            words += [f"--{name}", str(getattr(options, name))]
    return shlex.join(words)


def _stamp() -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())


def _tokens(options: argparse.Namespace) -> None:
    from labelsplat.study.admin import issue_links

    package = _package(options, digests=False)
    store = _store(options, package)
    out = None
    if options.out is None:
        out = store.path.with_name(f"links-{_stamp()}.csv")
    elif options.out != "-":
        out = Path(options.out)
    try:
        links = issue_links(
            store, package, options.count, options.base, time.time(),
            origin=options.origin, out=out,
        )  # fmt: skip
    finally:
        store.close()
    if out is None:
        for rater, link in links:
            print(f"{rater}  {link}")
    else:
        print(f"study: {len(links)} links are written to {out}, which you alone may read")
        print("study: they are kept nowhere else; hand them out one by one, then delete the file")


def _progress(options: argparse.Namespace) -> None:
    from labelsplat.study.admin import progress_text

    store = _store(options)
    try:
        print(progress_text(store))
    finally:
        store.close()


def _export(options: argparse.Namespace) -> None:
    from labelsplat.study.exchange import export_ratings

    store = _store(options)
    try:
        out = options.out or store.path.with_name("ratings.csv")
        count = export_ratings(store, out, options.origin)
    finally:
        store.close()
    print(f"study: {count} ratings are written to {out}")


def _backup(options: argparse.Namespace) -> None:
    store = _store(options)
    try:
        out = options.out or store.path.with_name(f"backup-{_stamp()}.sqlite")
        answers = store.backup(out)
    finally:
        store.close()
    print(f"study: {answers} answers are copied to {out}, which you alone may read")


def _erase(options: argparse.Namespace) -> None:
    from labelsplat.base import LabelsplatError
    from labelsplat.study.admin import erase_rater

    store = _store(options)
    try:
        if not options.yes:
            question = f"Erase all data of {options.rater} for good? Type the pseudonym again: "
            if not sys.stdin.isatty() or input(question).strip() != options.rater:
                raise LabelsplatError("nothing was erased", remedy="To be asked nothing: --yes")
        count = erase_rater(store, options.rater)
    finally:
        store.close()
    print(f"study: {options.rater} and {count} answers are erased, the link is dead")
    print("study: delete the rater from exports, backups and lists of links, too")
