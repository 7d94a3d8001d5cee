"""Pictures inside a page: as data URIs, so that one file is all of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_WIDTHS = (1600, 1200, 900, 640)  # tried in turn where a picture is too heavy


@dataclass(frozen=True)
class Picture:
    """A figure for the page.

    Attributes:
        caption: a sentence, also its alternative text.
        address: a data URI, None where there is no picture.
        missing: why there is none.
    """

    caption: str
    address: str | None
    missing: str = "is made by make repro"


def picture_addresses(folder: Path, captions: Mapping[str, str], room: int) -> dict[str, Picture]:
    """A page's figures as data URIs, ``room`` bytes in all.

    Args:
        folder: of the figures, ``{name}.png``.
        captions: by name.
        room: bytes.
    """
    found = {
        name: folder / f"{name}.png" for name in captions if (folder / f"{name}.png").is_file()
    }
    sizes = {name: path.stat().st_size for name, path in found.items()}
    out = {name: Picture(caption, None) for name, caption in captions.items()}
    # Light pictures first: what they leave of their share goes to the heavy ones.
    left = room
    for place, name in enumerate(sorted(found, key=sizes.get)):
        address = _data_uri(found[name], left // (len(found) - place))
        left -= len(address) if address else 0
        missing = "cannot be shown" if address is None else ""
        out[name] = Picture(captions[name], address, missing)
    return out


def _data_uri(path: Path, room: int) -> str | None:
    """A picture as a data URI of at most ``room`` characters, in WebP if need be; else None."""
    content = path.read_bytes()
    address = _encoded("png", content)
    if len(address) <= room:
        return address
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content)).convert("RGB")
    except OSError:
        return None
    for width in _WIDTHS:
        smaller = image
        if image.width > width:
            smaller = image.resize((width, round(image.height * width / image.width)))
        buffer = io.BytesIO()
        smaller.save(buffer, "WEBP", quality=85, method=6)
        address = _encoded("webp", buffer.getvalue())
        if len(address) <= room:
            return address
    return None


def _encoded(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
