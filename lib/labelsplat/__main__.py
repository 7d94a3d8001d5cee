"""``python -m labelsplat``: the commands behind the Makefile and dvc.yaml.

Heavy packages are imported by the command that needs them: an unchanged ``make repro`` passes
through ``check`` and ``finish`` and must take no time.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path

from labelsplat.base.errors import LabelsplatError
from labelsplat.base.layout import is_project_root, project_root
from labelsplat.study.commands import add_study_commands


def _root() -> Path:
    # DVC starts commands in the project's folder, which under `dvc exp run --temp` is a copy: the
    # working directory comes before the place that this package is installed from.
    return Path.cwd() if is_project_root(Path.cwd()) else project_root()


def _check(options: argparse.Namespace) -> None:
    from labelsplat.report.lock import clear_stale, forget_reduced
    from labelsplat.report.params import load_params, read_yaml

    root = _root()
    params, dvc_yaml = load_params(root / "params.yaml"), read_yaml(root / "dvc.yaml")
    for path in clear_stale(root, dvc_yaml, params):
        print(f"check: removed {path}, the output of a stage that is no more")
    for name in forget_reduced(root, dvc_yaml, params):
        print(f"check: {name} lost a dependency or a parameter, so it will run again")


def _profile(options: argparse.Namespace) -> None:
    from labelsplat.report.params import write_profile

    path = _root() / "params.yaml"
    write_profile(options.name, path)
    print(f"profile {options.name} is written into {path.name}; run: make repro")


def _run(options: argparse.Namespace) -> None:
    from labelsplat.report.run import parse_settings, run_stage

    settings = parse_settings(options.set or [])
    run_stage(_root(), options.stage, options.notebook, settings, options.timeout)


def _source(options: argparse.Namespace) -> None:
    from labelsplat.base.layout import Layout
    from labelsplat.capture import note_parser, note_source
    from labelsplat.report.params import load_params
    from labelsplat.study.note import note_ratings

    layout = Layout(_root())
    params = load_params(layout.root / "params.yaml")
    note_source(layout, params["capture"])
    note_parser(layout, params["predict"]["parser"])
    note_ratings(layout, params["study"])


def _finish(options: argparse.Namespace) -> None:
    from labelsplat.report.finish import finish

    if finish(_root()):
        print("finish: metrics and front page written; open reports/index.html")


def _refine(options: argparse.Namespace) -> None:
    from labelsplat.report.refine_page import refine_capture

    parser = options.parser
    if options.masks:
        from labelsplat.parsing import mask_labeller

        parser = mask_labeller(options.masks, options.vocabulary, sides=options.sides)
    elif parser and options.sides != "subject":
        from labelsplat.parsing import parser_labeller

        parser = parser_labeller(parser, sides=options.sides)
    page = refine_capture(
        options.capture,
        options.out,
        parser=parser,
        head_frame=options.head_frame,
        crop=options.crop,
    )
    print(f"refine: open {page}")


def _convert(options: argparse.Namespace) -> None:
    from labelsplat.capture import open_capture, write_capture

    capture = open_capture(options.capture, options.subject, options.source)
    folder = write_capture(capture, options.out, options.to, options.name, options.leave_aside)
    kept = len(capture.views) - len(set(options.leave_aside))
    print(f"convert: {kept} views of {capture.subject} are written to {folder}")


def _predict(options: argparse.Namespace) -> None:
    from labelsplat.report.predict_folder import predict_capture

    done = predict_capture(
        options.capture,
        options.out,
        options.parser,
        subject=options.subject,
        size=options.size,
    )
    print(f"predict: {done.photos} photos at {done.size} px, classes of {done.vocabulary}")
    print(f"predict: masks lie in {done.folder / 'masks'}; look at {done.folder / 'contact.png'}")


def _export(options: argparse.Namespace) -> None:
    from labelsplat.parsing import description_path, export_onnx, load_parser, working_size
    from labelsplat.report.params import load_params

    parser = load_parser(options.checkpoint)
    size = options.size or working_size(parser.net)
    size = size or load_params(_root() / "params.yaml")["capture"]["size"]
    export_onnx(parser.net, options.out, size, vocabulary=parser.vocabulary)
    print(f"export: {options.out} takes images of {size} x {size} pixels")
    print(f"export: {description_path(options.out)} says what goes in and what comes out")


def _inspect(options: argparse.Namespace) -> None:
    from labelsplat.capture.doors import list_subjects
    from labelsplat.capture.inspect import inspect_capture, inspection_text

    subjects: list[str | None] = [options.subject]
    if options.subject is None:
        # Where that fails it is a single capture, or a fault that the inspection names.
        with contextlib.suppress(LabelsplatError):
            subjects = list(list_subjects(options.source, options.capture))
    fine = True
    for number, subject in enumerate(subjects):
        # A folder with one capture in it opens without a name, also where it holds just that.
        name = subject if len(subjects) > 1 or options.subject else None
        found = inspect_capture(options.capture, name, options.source)
        fine = fine and found.ok
        print("\n" * (number > 0) + inspection_text(found))
        if options.out and found.capture is not None:
            from labelsplat.viz import plot_inspection, save_figure

            out = options.out
            if len(subjects) > 1:
                out = out.with_name(f"{out.stem}_{str(subject).replace('/', '_')}{out.suffix}")
            save_figure(plot_inspection(found), out)
            print(f"\npicture   {out}")
    if not fine:
        sys.exit(1)


def _tune(options: argparse.Namespace) -> None:
    from labelsplat.base.layout import Layout
    from labelsplat.evaluate.tune import run_tune
    from labelsplat.report.params import load_params

    root = _root()
    found = run_tune(Layout(root), load_params(root / "params.yaml"))
    for group in ("labels", "arms"):
        for name, values in found[group].items():
            cells = "  ".join(f"{stratum} {value:.3f}" for stratum, value in values.items())
            print(f"{name:18} {cells}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labelsplat", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="run one stage of dvc.yaml")
    run.add_argument("stage", help="as in dvc.yaml, e.g. predict@r1; else path/dvc.yaml:stage")
    run.add_argument("notebook", help="path relative to the project")
    run.add_argument("--set", nargs="+", action="extend", metavar="NAME=VALUE")
    run.add_argument(
        "--timeout", type=int, default=24 * 3600, metavar="SECONDS", help="of one cell"
    )
    run.set_defaults(do=_run)

    profile = commands.add_parser("profile", help="write a profile into params.yaml")
    profile.add_argument("name", nargs="?", default="", help="quick, default, hard or paper")
    profile.set_defaults(do=_profile)

    check = commands.add_parser("check", help="check params.yaml")
    check.set_defaults(do=_check)

    source = commands.add_parser("source", help="note photos and a parser of your own")
    source.set_defaults(do=_source)

    finish = commands.add_parser("finish", help="gather metrics, write the front page")
    finish.set_defaults(do=_finish)

    refine = commands.add_parser("refine", help="refine the labels of a capture of your own")
    refine.add_argument("capture", type=Path, help="folder of photos and cameras")
    refine.add_argument("--out", type=Path, required=True, help="folder to write")
    labeller = refine.add_mutually_exclusive_group()
    labeller.add_argument("--parser", type=Path, help="parser file; by default the trained one")
    labeller.add_argument("--masks", type=Path, help="folder of masks from elsewhere, instead")
    refine.add_argument(
        "--sides",
        default="subject",
        choices=("subject", "image"),
        help="whose left the parser's or the masks' left is",
    )
    refine.add_argument(
        "--vocabulary",
        default="celebamask-19",
        help="what the masks' indices mean: celebamask-19 (the public release's order), "
        "celebamask-official-19, celebamask-segface-19, lapa-11, helen-11, ...",
    )
    refine.add_argument(
        "--head-frame", metavar="HOW", help="auto, given, estimate, none, or a head_frame.json"
    )
    refine.add_argument(
        "--no-crop",
        dest="crop",
        action="store_false",
        help="do not crop loosely framed photos",
    )
    refine.set_defaults(do=_refine)

    inspect = commands.add_parser("inspect", help="look at a capture: cameras, photos, problems")
    inspect.add_argument("capture", type=Path, help="folder of photos and cameras, or a tree")
    inspect.add_argument("--subject", help="one of a tree; by default all")
    inspect.add_argument("--source", default="auto", help="reader; by default what fits")
    inspect.add_argument("--out", type=Path, metavar="PNG", help="picture of the rig to write")
    inspect.set_defaults(do=_inspect)

    convert = commands.add_parser("convert", help="write a capture of your own in another layout")
    convert.add_argument("capture", type=Path, help="folder of photos and cameras")
    convert.add_argument("out", type=Path, help="folder to write; for facescape the tree's root")
    convert.add_argument("--to", required=True, choices=("facescape", "nerfstudio"))
    convert.add_argument("--subject", help="which one, where the folder holds several")
    convert.add_argument("--source", default="auto", help="reader; by default by what lies there")
    convert.add_argument("--name", help="of the subject in FaceScape's layout, e.g. 7/1_neutral")
    convert.add_argument(
        "--leave-aside", nargs="+", default=[], metavar="VIEW", help="views not to be used"
    )
    convert.set_defaults(do=_convert)

    predict = commands.add_parser("predict", help="label the photos of a capture with a parser")
    predict.add_argument("capture", type=Path, help="folder of photos and cameras")
    predict.add_argument("--out", type=Path, required=True, help="folder to write")
    predict.add_argument(
        "--parser", type=Path, help=".safetensors, .pth or .onnx; by default the trained parser"
    )
    predict.add_argument("--subject", help="which one, where the folder holds several captures")
    predict.add_argument("--size", type=int, help="pixels that photos are predicted at")
    predict.set_defaults(do=_predict)

    export = commands.add_parser("export", help="write a parser as ONNX")
    export.add_argument("checkpoint", type=Path, help=".safetensors or .pth")
    export.add_argument("out", type=Path, help="*.onnx; a YAML file is written beside it")
    export.add_argument("--size", type=int, help="pixels of its images")
    export.set_defaults(do=_export)

    tune = commands.add_parser("tune", help="the line on the tune set, to choose settings by")
    tune.set_defaults(do=_tune)

    add_study_commands(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    # So that a stage that is told to end clears up like one that fails.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        options.do(options)
    except LabelsplatError as error:
        print(f"\nlabelsplat {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nlabelsplat {options.command}: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
