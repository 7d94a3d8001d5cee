"""How the kernels are compiled and where the machine code is kept.

Compiled code lives in ``labelsplat.base.cache_dir("kernels", ...)``, one file per kernel and
signature, in a folder named after a digest of all sources of this package. Numba's own cache
watches only the file that a kernel stands in, so an edited helper in another file would go
unnoticed, and its shared index can mix up entries when several processes compile at once.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import llvmlite
import numba
from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from labelsplat.base import atomic_path, cache_dir

logger = logging.getLogger(__name__)

# No reassociation: it would fold the rounding of ``simd.exp2_negative`` away, which is a 6 % error
# in the image.
FAST_MATH = frozenset({"nsz", "contract", "arcp"})


@cache
def _cache_folder() -> Path:
    """Folder of the compiled kernels of exactly these sources."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    try:
        return cache_dir("kernels", digest.hexdigest()[:16])
    except OSError:  # a home folder that cannot be written to
        return Path(tempfile.mkdtemp(prefix="labelsplat-kernels-"))


@cache
def _announce() -> None:
    logger.warning("compiling the CPU renderer for this machine: once, about half a minute")


class _KernelCache(FunctionCache):
    """Compiled code on disk, one file a signature, in place of Numba's index and data files."""

    def __init__(self, function: Callable):
        self._name, self._py_func = repr(function), function
        self._impl = None
        self.enable()

    @property
    def cache_path(self) -> str:
        return str(_cache_folder())

    def flush(self) -> None:
        """Nothing is kept in memory."""

    def _path(self, signature, codegen) -> Path:
        key = hashlib.sha256(repr(self._index_key(signature, codegen)).encode()).hexdigest()
        return _cache_folder() / f"{self._py_func.__name__}-{key[:24]}.kernel"

    def load_overload(self, sig, target_context):
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        try:
            payload = pickle.loads(path.read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            _announce()
            return None
        return CompileResult._rebuild(target_context, *payload)

    def save_overload(self, sig, data) -> None:
        if data.library.has_dynamic_globals or any(not x.can_cache for x in data.lifted):
            raise TypeError(f"{self._name} holds an address and cannot be kept on disk")
        try:
            with atomic_path(self._path(sig, data.target_context.codegen())) as temporary:
                temporary.write_bytes(dumps(data._reduce()))
        except OSError as error:  # a full disk costs time, not the result
            logger.warning("the compiled CPU renderer could not be kept: %s", error)


def kernel(function: Callable | None = None, *, parallel: bool = False) -> Callable:
    """Decorator: compile with Numba, without the interpreter's lock, kept on disk."""
    if function is None:
        return partial(kernel, parallel=parallel)
    dispatcher = numba.njit(
        parallel=parallel,
        nogil=True,
        error_model="numpy",
        boundscheck=False,
        fastmath=set(FAST_MATH),
    )(function)
    dispatcher._cache = _KernelCache(function)
    return dispatcher
