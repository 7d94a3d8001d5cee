"""What dvc.lock remembers of stages, held against dvc.yaml before a run.

Two things that DVC does not see by itself: outputs of a stage that is no more, and a dependency or
parameter that was taken away from a stage (DVC compares what is still listed, and finds it
unchanged). Both are mended here, without importing DVC: `labelsplat check` runs each time.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from labelsplat.base.errors import ParameterError
from labelsplat.base.files import atomic_path

_FILLED = re.compile(r"\$\{([\w.]+)\}")


@dataclass
class Entry:
    """A stage as dvc.yaml defines it or as dvc.lock remembers it.

    Attributes:
        deps: paths.
        params: names of tracked keys, e.g. ``capture.size``.
        outs: paths.
    """

    deps: set[str] = field(default_factory=set)
    params: set[str] = field(default_factory=set)
    outs: set[str] = field(default_factory=set)


def defined(dvc_yaml: dict, params: dict) -> dict[str, Entry]:
    """Every stage of a parsed dvc.yaml, each ``foreach`` worked out with the parsed params.yaml.

    Raises:
        ParameterError: a ``${...}`` names something that params.yaml lacks.
    """
    out = {}
    for name, stage in dvc_yaml.get("stages", {}).items():
        if "foreach" not in stage:
            out[name] = _entry(stage, params)
            continue
        over = stage["foreach"]
        if isinstance(over, str):
            over = _value(over.removeprefix("${").removesuffix("}"), params, name)
        if not isinstance(over, dict):
            over = {item: item for item in over}
        for key, item in over.items():
            known = {**params, "key": key, "item": item}
            out[f"{name}@{key}"] = _entry(stage["do"], known)
    return out


def _value(path: str, known: dict, where: str) -> object:
    value: object = known
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            raise ParameterError(f"${{{path}}} in stage {where} is no parameter", where="dvc.yaml")
        value = value[part]
    return value


def _entry(stage: dict, known: dict) -> Entry:
    def filled(text: str) -> str:
        return _FILLED.sub(lambda match: str(_value(match[1], known, stage["cmd"])), text)

    def paths(*kinds: str) -> set[str]:
        listed = [entry for kind in kinds for entry in stage.get(kind, [])]
        return {filled(e if isinstance(e, str) else next(iter(e))) for e in listed}

    return Entry(paths("deps"), paths("params"), paths("outs", "metrics", "plots"))


def remembered(lock_text: str) -> dict[str, Entry]:
    """Every stage of a dvc.lock.

    Read line by line (DVC writes it with fixed indents): a YAML parser in pure Python would take
    longer than all the rest of an unchanged run.
    """
    out: dict[str, Entry] = {}
    name = section = None
    for line in lock_text.splitlines():
        indent, word = len(line) - len(line.lstrip(" ")), line.strip()
        key = word.partition(":")[0].strip("'\"")
        if indent == 2 and word.endswith(":"):
            name, section = key, None
            out[name] = Entry()
        elif name is None:
            continue
        elif indent == 4 and word.startswith("- path: "):
            path = word.removeprefix("- path: ").strip("'\"")
            if section in ("deps", "outs"):
                getattr(out[name], section).add(path)
        elif indent == 4 and not word.startswith("-"):
            section = key
        elif indent == 8 and section == "params" and not word.startswith("-"):
            out[name].params.add(key)
    return out


def clear_stale(root: Path, dvc_yaml: dict, params: dict) -> list[str]:
    """Remove outputs of stages that are no more, e.g. of a round taken out of params.yaml.

    Evaluation depends on the folders ``models`` and ``work`` as a whole, so a left-over would go on
    being evaluated and would miss the run cache. Only paths that dvc.lock lists for a stage that
    dvc.yaml no longer makes are touched; DVC's cache still holds them.

    Returns:
        The paths that were removed.
    """
    lock = root / "dvc.lock"
    if not lock.exists():
        return []
    now, before = defined(dvc_yaml, params), remembered(lock.read_text(encoding="utf-8"))
    kept = {out for entry in now.values() for out in entry.outs}
    removed = []
    for name in before.keys() - now.keys():
        for path in sorted(before[name].outs - kept):
            target = root / path
            if target.is_dir():
                shutil.rmtree(target)
            elif target.exists():
                target.unlink()
            else:
                continue
            removed.append(path)
            # A round's folder, now empty, would count as a change, too.
            if target.parent.parent == root / "work" and not any(target.parent.iterdir()):
                target.parent.rmdir()
    return sorted(removed)


def forget_reduced(root: Path, dvc_yaml: dict, params: dict) -> list[str]:
    """Make dvc.lock forget stages that lost a dependency or a parameter, so that DVC runs them.

    Returns:
        Their names.
    """
    lock = root / "dvc.lock"
    if not lock.exists():
        return []
    text = lock.read_text(encoding="utf-8")
    now, before = defined(dvc_yaml, params), remembered(text)
    reduced = [
        name
        for name, entry in before.items()
        if name in now
        and (entry.deps - now[name].deps or entry.params - now[name].params)
    ]  # fmt: skip
    if reduced:
        with atomic_path(lock) as temporary:
            temporary.write_text(_without(text, set(reduced)), encoding="utf-8")
    return reduced


def _without(lock_text: str, names: set[str]) -> str:
    kept, inside = [], False
    for line in lock_text.splitlines(keepends=True):
        if line.startswith("  ") and line[2] not in " -" and line.rstrip().endswith(":"):
            inside = line.strip()[:-1].strip("'\"") in names
        elif not line.startswith(" "):
            inside = False
        if not inside:
            kept.append(line)
    text = "".join(kept)
    # DVC refuses a key without value.
    return re.sub(r"^stages:\s*\Z", "stages: {}\n", text, flags=re.MULTILINE)
