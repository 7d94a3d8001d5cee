"""A vector type for Numba: ``<lanes x float32>`` or ``<lanes x float64>`` as LLVM has it.

Numba leaves it to LLVM's auto-vectoriser to find vectors in scalar loops; for blending that costs
a factor of 2.5 to 5 against code that says which values ride in one register. Inside kernels a
vector behaves like a number (``+ - * /``, comparisons, scalars broadcast); comparisons give masks
(``& | ~``) for ``select`` and ``any_lane``.

The number of lanes is a *type*: kernels take a ``Lanes`` object as first argument, so the width is
part of every signature. Code compiled for one width can therefore not be mistaken for another's,
neither in memory nor in the cache on disk, and all widths live in one process.

This module has the types and the operators; what kernels call is in ``simd``.
"""

from __future__ import annotations

import operator
import os
from functools import cache

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    models,
    register_model,
    typeof_impl,
    unbox,
)

from labelsplat.base import ParameterError

WIDTHS = (4, 8, 16)
WIDTH_VARIABLE = "LABELSPLAT_SIMD_WIDTH"

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_FLAGS = ("contract", "nsz")


# ---------------------------------------------------------------- the number of lanes
class Lanes:
    """Number of lanes of the vectors that a kernel computes with; see ``chosen_lanes``."""

    def __init__(self, width: int):
        self.width = width


class LanesType(types.Opaque):
    """Numba type of ``Lanes(width)``: the width is known when a kernel is compiled."""

    def __init__(self, width: int):
        self.width = width
        super().__init__(name=f"Lanes({width})")


register_model(LanesType)(models.OpaqueModel)


@typeof_impl.register(Lanes)
def _type_of_lanes(value, context):
    return LanesType(value.width)


@unbox(LanesType)
def _unbox_lanes(kind, value, context):
    return NativeValue(context.context.get_dummy_value())


@cache
def _lanes(width: int) -> Lanes:
    return Lanes(width)


@cache
def native_width() -> int:
    """Lanes that this CPU computes at once: 16 with AVX-512, 8 with AVX2, else 4."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return 16
    return 8 if features.get("avx2") and features.get("fma") else 4


def chosen_lanes() -> Lanes:
    """The lanes to compute with: ``$LABELSPLAT_SIMD_WIDTH`` if set, else ``native_width()``.

    Raises:
        ParameterError: the variable is not one of 4, 8, 16.
    """
    text = os.environ.get(WIDTH_VARIABLE)
    if not text:
        return _lanes(native_width())
    if text not in {str(w) for w in WIDTHS}:
        raise ParameterError(
            f"{text!r} is no vector width", where=WIDTH_VARIABLE, remedy="Use 4, 8 or 16."
        )
    return _lanes(int(text))


# ---------------------------------------------------------------- vectors and masks
class VectorType(types.Type):
    """``lanes`` numbers of type ``scalar`` in one register (or in several, if too wide)."""

    def __init__(self, scalar: types.Float, lanes: int):
        self.scalar, self.lanes = scalar, lanes
        super().__init__(name=f"Vector({scalar}, {lanes})")


class MaskType(types.Type):
    """One truth value a lane."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


def llvm_scalar(scalar: types.Float) -> ir.Type:
    return ir.FloatType() if scalar == types.float32 else ir.DoubleType()


def llvm_vector(kind: VectorType) -> ir.VectorType:
    return ir.VectorType(llvm_scalar(kind.scalar), kind.lanes)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, llvm_vector(kind))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.lanes))


def broadcast(builder, value, lanes):
    """``value`` in every lane."""
    kind = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
    order = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), order)


def as_vector(context, builder, value, kind, vector):
    """A vector as it is; a number, cast to the vector's scalar type, in every lane."""
    if isinstance(kind, VectorType):
        return value
    return broadcast(builder, context.cast(builder, value, kind, vector.scalar), vector.lanes)


def constant(kind: VectorType, value: float):
    return ir.Constant(llvm_vector(kind), [value] * kind.lanes)


def call(builder, name: str, kind: VectorType, *args):
    """Call LLVM's ``llvm.<name>`` on vectors of ``kind``."""
    vector = llvm_vector(kind)
    bits = 32 if kind.scalar == types.float32 else 64
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector, [vector] * len(args)),
        f"llvm.{name}.v{kind.lanes}f{bits}",
    )
    return builder.call(function, args)


def vector_of(args) -> VectorType | None:
    """The vector type of a binary operation on a vector and a vector or number, or None."""
    vectors = [a for a in args if isinstance(a, VectorType)]
    fits = all(isinstance(a, types.Number) or a == vectors[0] for a in args) if vectors else False
    return vectors[0] if fits else None


def _define_arithmetic(operators, instruction: str) -> None:
    def lower(context, builder, sig, args):
        a, b = (
            as_vector(context, builder, x, k, sig.return_type)
            for x, k in zip(args, sig.args, strict=True)
        )
        return getattr(builder, instruction)(a, b, flags=_FLAGS)

    for symbol in operators:

        @infer_global(symbol)
        class _Arithmetic(AbstractTemplate):
            def generic(self, args, kws):
                kind = vector_of(args) if len(args) == 2 else None
                return None if kind is None else signature(kind, *args)

        lower_builtin(symbol, VectorType, VectorType)(lower)
        lower_builtin(symbol, VectorType, types.Number)(lower)
        lower_builtin(symbol, types.Number, VectorType)(lower)


def _define_comparison(symbol, text: str) -> None:
    @infer_global(symbol)
    class _Comparison(AbstractTemplate):
        def generic(self, args, kws):
            kind = vector_of(args) if len(args) == 2 else None
            return None if kind is None else signature(MaskType(kind.lanes), *args)

    def lower(context, builder, sig, args):
        vector = next(k for k in sig.args if isinstance(k, VectorType))
        a, b = (
            as_vector(context, builder, x, k, vector) for x, k in zip(args, sig.args, strict=True)
        )
        return builder.fcmp_ordered(text, a, b)  # false where a NaN takes part

    lower_builtin(symbol, VectorType, VectorType)(lower)
    lower_builtin(symbol, VectorType, types.Number)(lower)
    lower_builtin(symbol, types.Number, VectorType)(lower)


def _define_logic(operators, instruction: str) -> None:
    def lower(context, builder, sig, args):
        return getattr(builder, instruction)(*args)

    for symbol in operators:

        @infer_global(symbol)
        class _Logic(AbstractTemplate):
            def generic(self, args, kws):
                fits = len(args) == 2 and isinstance(args[0], MaskType) and args[0] == args[1]
                return signature(args[0], *args) if fits else None

        lower_builtin(symbol, MaskType, MaskType)(lower)


_define_arithmetic((operator.add, operator.iadd), "fadd")
_define_arithmetic((operator.sub, operator.isub), "fsub")
_define_arithmetic((operator.mul, operator.imul), "fmul")
_define_arithmetic((operator.truediv, operator.itruediv), "fdiv")
_define_comparison(operator.lt, "<")
_define_comparison(operator.le, "<=")
_define_comparison(operator.gt, ">")
_define_comparison(operator.ge, ">=")
_define_logic((operator.and_, operator.iand), "and_")
_define_logic((operator.or_, operator.ior), "or_")


@infer_global(operator.neg)
class _Negative(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], VectorType) else None


@lower_builtin(operator.neg, VectorType)
def _lower_negative(context, builder, sig, args):
    return builder.fneg(args[0])


@infer_global(operator.invert)
class _Invert(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], MaskType) else None


@lower_builtin(operator.invert, MaskType)
def _lower_invert(context, builder, sig, args):
    return builder.not_(args[0])
