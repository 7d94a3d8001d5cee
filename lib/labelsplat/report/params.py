"""params.yaml: read, checked against the known keys, and written from a profile.

``profiles/default.yaml`` is the schema: its keys are the known ones, its values fix the types, its
comments explain them. Another profile lists only what it changes. Entries below ``rounds`` have
free names (``r1``, ``r2`` ...) and the keys of the default's first round.
"""

from __future__ import annotations

import copy
import difflib
import itertools
import math
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from labelsplat.base.errors import ParameterError
from labelsplat.base.files import atomic_path
from labelsplat.report.param_rules import AT_LEAST, AT_MOST, CHOICES, POSITIVE

PROFILES = Path(__file__).with_name("profiles")

ROUND_ARMS = ("refined", "refined_novel", "self_training")
"""Arms that a round may train."""

CARRIED_ARMS = ("refined", "self_training")
"""Arms that the judgement and a following round need."""

_OWN_STAGE = {"oracle": "oracle", "replay_only": "control", "baseline": "parser"}
_ROUND_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = ("baseline", "control", "oracle")
_FREE = "rounds"


def profile_names() -> list[str]:
    """Names of the profiles that ``make profile`` can write."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def _yaml(*, round_trip: bool = False):
    # ruamel speaks YAML 1.2 as DVC does: 1e-3 is a number, `no` is a word.
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt" if round_trip else "safe", pure=True)
    yaml.width, yaml.preserve_quotes = 100, True
    return yaml


def read_yaml(path: Path, *, round_trip: bool = False) -> dict:
    """Read a YAML file that holds keys, as plain dicts or with comments kept (``round_trip``).

    Raises:
        ParameterError: the file is missing, is no YAML (names the line) or holds no keys.
    """
    from ruamel.yaml.error import YAMLError

    try:
        values = _yaml(round_trip=round_trip).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(
            "the file is missing", where=path, remedy="Write it with: make profile PROFILE=default"
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        line = str(getattr(error, "problem_mark", "")).strip()
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ParameterError(f"not valid YAML: {what} {line}".rstrip(), where=path) from None
    if not isinstance(values, dict):
        raise ParameterError("holds no keys", where=path)
    return values


def default_params() -> dict:
    """The default profile: every known key with its default value."""
    return read_yaml(PROFILES / "default.yaml")


def load_params(path: str | Path) -> dict:
    """Read and check a params.yaml.

    Raises:
        ParameterError: the file is missing or no YAML, or :func:`check_params` objects.
    """
    values = read_yaml(Path(path))
    check_params(values, where=path)
    return values


def check_params(values: dict, *, where: object = "params.yaml", partial: bool = False) -> None:
    """Hold parameters against the default profile.

    Args:
        values: parameters as read from YAML.
        where: file that they come from, for the message.
        partial: whether keys may be left out (they may in a profile).

    Raises:
        ParameterError: an unknown key (names the nearest known one), a missing key, a value of the
            wrong type or out of range, or rounds that do not fit together.
    """
    known = default_params()
    _check_section(values, known, "", where, partial)
    if not partial:
        _check_identities(values["capture"], where)
        _check_rounds(values, where)


def _check_section(values: dict, known: dict, prefix: str, where: object, partial: bool) -> None:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ParameterError(
                f"unknown parameter {name!r}", where=where, remedy=_nearest(key, known, prefix)
            )
        if name == _FREE:
            _check_round_entries(value, next(iter(known[_FREE].values())), where, partial)
        elif isinstance(known[key], dict):
            if not isinstance(value, dict):
                raise _wrong(name, value, "a section of keys", where)
            _check_section(value, known[key], f"{name}.", where, partial)
        else:
            _check_value(name, value, known[key], where)
    missing = [key for key in known if key not in values]
    if missing and not partial:
        raise ParameterError(
            f"parameter {prefix}{missing[0]} is missing",
            where=where,
            remedy=f"Its default is {known[missing[0]]!r}; see {PROFILES.name}/default.yaml",
        )


def _check_round_entries(rounds: object, known: dict, where: object, partial: bool) -> None:
    if not isinstance(rounds, dict) or not rounds:
        raise _wrong(_FREE, rounds, "a section with one entry a round", where)
    for name, entry in rounds.items():
        # DVC names stages after the keys and folders are named after them, too.
        if not isinstance(name, str) or not _ROUND_NAME.fullmatch(name) or name in _RESERVED:
            raise ParameterError(
                f"{name!r} cannot name a round",
                where=where,
                remedy=f"Use small letters, digits and _, e.g. r3, and none of {_RESERVED}",
            )
        if entry is None and partial:  # a profile that leaves a round out
            continue
        if not isinstance(entry, dict):
            raise _wrong(f"{_FREE}.{name}", entry, f"a section of {', '.join(known)}", where)
        _check_section(entry, known, f"{_FREE}.{name}.", where, partial)


def _check_value(name: str, value: object, default: object, where: object) -> None:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise _wrong(name, value, "true or false", where)
    elif isinstance(default, int):
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(name, value, "a whole number", where)
    elif isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(name, value, "a number", where)
    elif isinstance(default, list) and any(isinstance(v, float) for v in default):
        _check_factors(name, value, where)
    elif isinstance(default, list):
        _check_names(name, value, where)
    elif not isinstance(value, str):
        raise _wrong(name, value, "text", where)

    if isinstance(value, int | float) and not isinstance(value, bool):
        low = name in POSITIVE
        if not math.isfinite(value) or value < 0 or (low and value == 0):
            raise _wrong(
                name, value, f"a number {'above zero' if low else 'of zero or more'}", where
            )
        if name in AT_LEAST and value < AT_LEAST[name]:
            raise _wrong(name, value, f"a number of at least {AT_LEAST[name]}", where)
        if name in AT_MOST and value > AT_MOST[name]:
            raise _wrong(name, value, f"a number from 0 to {AT_MOST[name]}", where)
    if name in CHOICES and value not in CHOICES[name]:
        near = difflib.get_close_matches(str(value), CHOICES[name], 1)
        remedy = f"Did you mean {near[0]!r}?" if near else None
        raise ParameterError(
            f"{name} is {value!r}, expected one of {', '.join(CHOICES[name])}",
            where=where,
            remedy=remedy,
        )


def _check_factors(name: str, value: object, where: object) -> None:
    numbers = isinstance(value, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < math.inf for v in value
    )
    if not numbers or not value:
        raise _wrong(name, value, "a list of numbers above zero, e.g. [1.0]", where)


def _check_names(name: str, value: object, where: object) -> None:
    if not isinstance(value, list) or any(isinstance(v, list | dict) for v in value):
        raise _wrong(name, value, "a list of names, e.g. [a, b]", where)
    for entry in value:
        if not isinstance(entry, str):  # YAML reads 1 as a number and true as a truth value
            example = ', as listed, e.g. "1/1_neutral"' if name == "capture.subjects" else ""
            raise ParameterError(
                f"{name} holds {entry!r}, expected a list of names, each of them text",
                where=where,
                remedy=f'Quote it: "{entry}"{example}',
            )


def _check_identities(capture: dict, where: object) -> None:
    """No head may be in two of the sets that are drawn by number."""
    counts = {
        "standard": capture["standard_identities"] + capture["validation_identities"],
        "capture": capture["capture_identities"],
        "test": capture["test_identities"],
        "hard": capture["hard_identities"],
    }
    spans = sorted((capture[f"{name}_first"], count, name) for name, count in counts.items())
    for (first, count, name), (following, _, other) in itertools.pairwise(spans):
        if first + count > following:
            raise ParameterError(
                f"capture.{other}_first is {following}, but the {name} set ends with head "
                f"{first + count - 1}: the sets would share heads",
                where=where,
                remedy=f"Set capture.{other}_first to {first + count} or more",
            )


def _check_rounds(values: dict, where: object) -> None:
    rounds, fits = values["rounds"], values["fits"]
    first = next(iter(rounds))
    # Later rounds blend with the first one's predictions, which dvc.yaml therefore names.
    if first != "r1" or rounds["r1"]["parsers"] != "models/baseline":
        raise ParameterError(
            "the first round must be called r1 and predict with models/baseline", where=where
        )
    for name in fits:
        if name not in rounds:
            raise ParameterError(
                f"fits names {name!r}, which is no round", where=where, remedy=_list(rounds)
            )
    earlier: list[str] = []
    for name, entry in rounds.items():
        _check_arms(name, entry["arms"], values["refine"]["novel_views"], where)
        _check_parsers(name, entry["parsers"], rounds, earlier, where)
        _check_splats(name, entry["splats"], fits, [*earlier, name], where)
        earlier.append(name)
    lacking = _lacking(rounds[earlier[-1]]["arms"])
    if lacking:
        raise ParameterError(
            f"rounds.{earlier[-1]}, the last round, does not train {lacking[0]}, by which "
            "the line is judged",
            where=where,
            remedy=f"Add {lacking[0]} to rounds.{earlier[-1]}.arms",
        )


def _lacking(arms: list[str]) -> list[str]:
    return [arm for arm in CARRIED_ARMS if arm not in arms]


def _check_arms(name: str, arms: list[str], novel_views: int, where: object) -> None:
    if not arms:
        raise ParameterError(f"rounds.{name}.arms lists no arm", where=where)
    for arm in arms:
        if arm in _OWN_STAGE:
            raise ParameterError(
                f"rounds.{name}.arms lists {arm!r}, which has a stage of its own "
                f"({_OWN_STAGE[arm]})",
                where=where,
                remedy=f"Take it out; a round trains {', '.join(ROUND_ARMS)}",
            )
        if arm not in ROUND_ARMS:
            near = difflib.get_close_matches(arm, ROUND_ARMS, 1)
            raise ParameterError(
                f"rounds.{name}.arms lists {arm!r}, which is no arm",
                where=where,
                remedy=f"Did you mean {near[0]!r}?" if near else _list(ROUND_ARMS),
            )
    if len(set(arms)) < len(arms):
        raise ParameterError(f"rounds.{name}.arms lists an arm twice", where=where)
    if "refined_novel" in arms and novel_views == 0:
        raise ParameterError(
            f"rounds.{name}.arms lists refined_novel, but refine.novel_views is 0",
            where=where,
            remedy="Raise refine.novel_views, or take refined_novel out",
        )


def _check_parsers(
    name: str, parsers: str, rounds: dict, earlier: list[str], where: object
) -> None:
    folders = ["models/baseline", *(f"models/{other}" for other in earlier)]
    if parsers not in folders:
        raise ParameterError(
            f"rounds.{name}.parsers is {parsers!r}",
            where=where,
            remedy=f"Expected the baseline's or an earlier round's: {', '.join(folders)}",
        )
    other = parsers.removeprefix("models/")
    # A round predicts twice: with the refined parser, and for the self-trained arm with its own.
    lacking = _lacking(rounds[other]["arms"]) if other in earlier else []
    if lacking:
        raise ParameterError(
            f"rounds.{name}.parsers is {parsers!r}, but round {other} does not train {lacking[0]}",
            where=where,
            remedy=f"Add {lacking[0]} to rounds.{other}.arms",
        )


def _check_splats(
    name: str, splats: str, fits: list[str], until_now: list[str], where: object
) -> None:
    usable = [other for other in until_now if other in fits]
    if splats not in usable:
        what = "comes later" if splats in fits else "fits no Gaussians"
        raise ParameterError(
            f"rounds.{name}.splats is {splats!r}, but that round {what}",
            where=where,
            remedy=f"Name one of {', '.join(usable)}" if usable else f"Add {name} to fits",
        )


def _wrong(name: str, value: object, expected: str, where: object) -> ParameterError:
    return ParameterError(f"{name} is {value!r}, expected {expected}", where=where)


def _list(known: Iterable) -> str:
    return f"Known here: {', '.join(map(str, known))}"


def _nearest(key: object, known: dict, prefix: str) -> str:
    near = difflib.get_close_matches(str(key), [str(k) for k in known], 1, cutoff=0.5)
    if near:
        return f"Did you mean {prefix}{near[0]}?"
    # The right word in the wrong section is as common as a misspelt one.
    for section, entry in default_params().items():
        if isinstance(entry, dict) and key in entry and section != _FREE:
            return f"Did you mean {section}.{key}?"
    return _list(known)


def profile_text(name: str) -> str:
    """The full params.yaml of a profile, comments included.

    Raises:
        ParameterError: there is no such profile, or it holds an unknown key.
    """
    names = profile_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        raise ParameterError(
            f"there is no profile {name!r}" if name else "no profile named",
            remedy=f"Did you mean {near[0]}?" if near else f"Choose PROFILE={'|'.join(names)}",
        )
    if name == "default":
        # Byte for byte what is committed.
        return (PROFILES / "default.yaml").read_text(encoding="utf-8")
    path = PROFILES / f"{name}.yaml"
    changes = read_yaml(path)
    check_params(changes, where=path, partial=True)
    merged = read_yaml(PROFILES / "default.yaml", round_trip=True)
    _merge(merged, changes)
    check_params(_plain(merged), where=path)
    out = StringIO()
    _yaml(round_trip=True).dump(merged, out)
    return out.getvalue()


def write_profile(name: str, path: str | Path) -> None:
    """Replace ``path`` (params.yaml) by a profile's full values with their comments."""
    text = profile_text(name)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _merge(base: dict, changes: dict) -> None:
    for key, value in changes.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        elif isinstance(value, list) and isinstance(base.get(key), list):
            base[key][:] = copy.copy(value)  # keeps the style [a, b]
        else:
            base[key] = value


def _plain(values: object) -> object:
    if isinstance(values, dict):
        return {str(k): _plain(v) for k, v in values.items()}
    return [_plain(v) for v in values] if isinstance(values, list) else values
