"""A vector type for Numba: ``<lanes x float32>`` or ``<lanes x float64>`` as LLVM has it.

Numba leaves it to LLVM's auto-vectoriser to find vectors in scalar loops; for blending that costs
a factor of 2.5 to 5 against code that says which values ride in one register. Inside kernels a
vector behaves like a number (``+ - * /``, comparisons, scalars broadcast); comparisons give masks
(``& | ~``) for ``select`` and ``any_lane``.

The number of lanes is a *type*: kernels take a ``Lanes`` object as first argument, so the width is
part of every signature. Code compiled for one width can therefore not be mistaken for another's,
neither in memory nor in the cache on disk, and all widths live in one process.

Arrays are addressed by a flat offset in elements, whatever their shape: they must be C-contiguous.
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
    intrinsic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

from labelsplat.base import ParameterError

WIDTHS = (4, 8, 16)
BLOCK = 4  # lanes in a row, where a vector holds a block of pixels
WIDTH_VARIABLE = "LABELSPLAT_SIMD_WIDTH"

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_FLAGS = ("contract", "nsz")

# 2^x = 2^n 2^f with |f| <= 1/2. float32: minimax of degree 5; float64: Taylor of degree 13.
_EXP2 = {
    types.float32: (1.3333558e-3, 9.6181291e-3, 5.5504109e-2, 2.4022651e-1, 6.9314718e-1, 1.0),
    types.float64: (
        1.3691488853904128e-12,
        2.5678435993488202e-11,
        4.4455382718708115e-10,
        7.0549116208011235e-09,
        1.0178086009239700e-07,
        1.3215486790144310e-06,
        1.5252733804059840e-05,
        1.5403530393381610e-04,
        1.3333558146428443e-03,
        9.6181291076284770e-03,
        5.5504108664821580e-02,
        2.4022650695910072e-01,
        6.9314718055994531e-01,
        1.0,
    ),
}


# ---------------------------------------------------------------- the number of lanes
class Lanes:
    """Number of lanes of the vectors that a kernel computes with; see ``lanes``."""

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


def lanes() -> Lanes:
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


def _llvm_scalar(scalar: types.Float) -> ir.Type:
    return ir.FloatType() if scalar == types.float32 else ir.DoubleType()


def _llvm_vector(kind: VectorType) -> ir.VectorType:
    return ir.VectorType(_llvm_scalar(kind.scalar), kind.lanes)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _llvm_vector(kind))


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), kind.lanes))


def _broadcast(builder, value, lanes):
    """``value`` in every lane."""
    kind = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    order = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), order)


def _as_vector(context, builder, value, kind, vector):
    """A vector as it is; a number, cast to the vector's scalar type, in every lane."""
    if isinstance(kind, VectorType):
        return value
    return _broadcast(builder, context.cast(builder, value, kind, vector.scalar), vector.lanes)


def _constant(kind: VectorType, value: float):
    return ir.Constant(_llvm_vector(kind), [value] * kind.lanes)


def _call(builder, name: str, kind: VectorType, *args):
    """Call LLVM's ``llvm.<name>`` on vectors of ``kind``."""
    vector = _llvm_vector(kind)
    bits = 32 if kind.scalar == types.float32 else 64
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector, [vector] * len(args)),
        f"llvm.{name}.v{kind.lanes}f{bits}",
    )
    return builder.call(function, args)


def _operands(args) -> VectorType | None:
    """The vector type of a binary operation on a vector and a vector or number, or None."""
    vectors = [a for a in args if isinstance(a, VectorType)]
    fits = all(isinstance(a, types.Number) or a == vectors[0] for a in args) if vectors else False
    return vectors[0] if fits else None


def _define_arithmetic(operators, instruction: str) -> None:
    def lower(context, builder, sig, args):
        a, b = (
            _as_vector(context, builder, x, k, sig.return_type)
            for x, k in zip(args, sig.args, strict=True)
        )
        return getattr(builder, instruction)(a, b, flags=_FLAGS)

    for symbol in operators:

        @infer_global(symbol)
        class _Arithmetic(AbstractTemplate):
            def generic(self, args, kws):
                kind = _operands(args) if len(args) == 2 else None
                return None if kind is None else signature(kind, *args)

        lower_builtin(symbol, VectorType, VectorType)(lower)
        lower_builtin(symbol, VectorType, types.Number)(lower)
        lower_builtin(symbol, types.Number, VectorType)(lower)


def _define_comparison(symbol, text: str) -> None:
    @infer_global(symbol)
    class _Comparison(AbstractTemplate):
        def generic(self, args, kws):
            kind = _operands(args) if len(args) == 2 else None
            return None if kind is None else signature(MaskType(kind.lanes), *args)

    def lower(context, builder, sig, args):
        vector = next(k for k in sig.args if isinstance(k, VectorType))
        a, b = (
            _as_vector(context, builder, x, k, vector) for x, k in zip(args, sig.args, strict=True)
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


# ---------------------------------------------------------------- memory
def _integer(builder, value, kind: ir.IntType = _I64):
    """An integer of another width as ``kind``."""
    if value.type.width == kind.width:
        return value
    return (builder.sext if value.type.width < kind.width else builder.trunc)(value, kind)


def _address(context, builder, kind, array, offset, pointee):
    """Pointer to ``pointee`` at element ``offset`` of ``array``."""
    element = context.get_data_type(kind.dtype)
    data = context.make_array(kind)(context, builder, array).data
    place = builder.gep(data, [_integer(builder, offset)], source_etype=element)
    return builder.bitcast(place, pointee.as_pointer())


def _element_bytes(kind) -> int:
    return kind.dtype.bitwidth // 8


@intrinsic
def width(typing, lanes):
    """Number of lanes, a constant of the compiled code."""

    def generate(context, builder, sig, args):
        return ir.Constant(_I64, lanes.width)

    return types.int64(lanes), generate


@intrinsic
def load(typing, lanes, array, offset):
    """The elements ``array[offset : offset + width]`` as a vector."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        kind = _llvm_vector(vector)
        place = _address(context, builder, array, args[1], args[2], kind)
        return builder.load(place, align=_element_bytes(array), typ=kind)

    return vector(lanes, array, offset), generate


@intrinsic
def store(typing, array, offset, vector):
    """Write ``vector`` to ``array[offset : offset + width]``."""

    def generate(context, builder, sig, args):
        place = _address(context, builder, array, args[0], args[1], _llvm_vector(vector))
        builder.store(args[2], place, align=_element_bytes(array))
        return context.get_dummy_value()

    return types.void(array, offset, vector), generate


@intrinsic
def splat(typing, lanes, array, offset):
    """The element ``array[offset]`` in every lane."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        scalar = _llvm_scalar(array.dtype)
        place = _address(context, builder, array, args[1], args[2], scalar)
        value = builder.load(place, align=_element_bytes(array), typ=scalar)
        return _broadcast(builder, value, lanes.width)

    return vector(lanes, array, offset), generate


@intrinsic
def full(typing, lanes, array, value):
    """``value`` in every lane, as a vector of the array's element type."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        return _as_vector(context, builder, args[2], value, vector)

    return vector(lanes, array, value), generate


def _block_pointers(context, builder, kind, lanes, array, offset, row_step, step):
    """Vector of pointers to ``array[offset + row * row_step + column * step]`` of each lane."""
    integers = ir.VectorType(_I32, lanes)
    rows = ir.Constant(integers, [lane // BLOCK for lane in range(lanes)])
    columns = ir.Constant(integers, [lane % BLOCK for lane in range(lanes)])
    row_step, step = (
        _broadcast(builder, _integer(builder, x, _I32), lanes) for x in (row_step, step)
    )
    places = builder.add(builder.mul(rows, row_step), builder.mul(columns, step))
    element = context.get_data_type(kind.dtype)
    base = _address(context, builder, kind, array, offset, element)
    pointers = builder.gep(base, [places], source_etype=element)
    pointers.type = ir.VectorType(element.as_pointer(), lanes)  # llvmlite takes it for a scalar
    return pointers


def _call_on_pointers(builder, name: str, kind: VectorType, result, args):
    bits = 32 if kind.scalar == types.float32 else 64
    name = f"llvm.masked.{name}.v{kind.lanes}f{bits}.v{kind.lanes}p0"
    signature_ = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, signature_, name), args)


@intrinsic
def gather_block(typing, lanes, array, offset, row_step, step, mask):
    """A block of BLOCK columns: ``array[offset + row * row_step + column * step]``; 0 off mask."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        pointers = _block_pointers(context, builder, array, lanes.width, *args[1:5])
        align = ir.Constant(_I32, _element_bytes(array))
        operands = [pointers, align, args[5], _constant(vector, 0.0)]
        return _call_on_pointers(builder, "gather", vector, _llvm_vector(vector), operands)

    return vector(lanes, array, offset, row_step, step, mask), generate


@intrinsic
def scatter_block(typing, array, offset, row_step, step, mask, vector):
    """The counterpart of ``gather_block``: write a block, those lanes of the mask."""

    def generate(context, builder, sig, args):
        pointers = _block_pointers(context, builder, array, vector.lanes, *args[:4])
        align = ir.Constant(_I32, _element_bytes(array))
        operands = [args[5], pointers, align, args[4]]
        _call_on_pointers(builder, "scatter", vector, ir.VoidType(), operands)
        return context.get_dummy_value()

    return types.void(array, offset, row_step, step, mask, vector), generate


# ---------------------------------------------------------------- functions of vectors
@intrinsic
def fma(typing, a, b, c):
    """``a * b + c`` in one instruction where the CPU has one."""

    def generate(context, builder, sig, args):
        return _call(builder, "fmuladd", a, *args)

    return (a(a, b, c), generate) if isinstance(a, VectorType) and a == b == c else None


def _unary(name: str):
    @intrinsic
    def function(typing, a):
        def generate(context, builder, sig, args):
            return _call(builder, name, a, *args)

        return a(a), generate

    return function


sqrt = _unary("sqrt")
ceil = _unary("ceil")


def _pick(text: str):
    @intrinsic
    def pick(typing, a, b):
        vector = _operands((a, b))

        def generate(context, builder, sig, args):
            x = _as_vector(context, builder, args[0], a, vector)
            y = _as_vector(context, builder, args[1], b, vector)
            return builder.select(builder.fcmp_ordered(text, x, y), x, y)

        return vector(a, b), generate

    return pick


minimum = _pick("<")  # the second argument where either is NaN
maximum = _pick(">")


@intrinsic
def select(typing, mask, a, b):
    """``a`` where ``mask``, else ``b``."""
    vector = _operands((a, b))

    def generate(context, builder, sig, args):
        x = _as_vector(context, builder, args[1], a, vector)
        y = _as_vector(context, builder, args[2], b, vector)
        return builder.select(args[0], x, y)

    return vector(mask, a, b), generate


@intrinsic
def any_lane(typing, mask):
    """Whether the mask is true anywhere."""

    def generate(context, builder, sig, args):
        bits = ir.IntType(mask.lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(args[0], bits), ir.Constant(bits, 0))

    return types.boolean(mask), generate


@intrinsic
def exp2_negative(typing, x):
    """2^-x for -80 <= x <= 80; rubbish, but no trap, elsewhere.

    2^-n times a polynomial in the fraction; the power of two is added to the exponent's bits.
    Relative error below 3e-7 (float32), 1e-15 (float64).
    """

    def generate(context, builder, sig, args):
        whole = _call(builder, "rint", x, args[0])
        fraction = builder.fsub(whole, args[0])
        first, *rest = _EXP2[x.scalar]
        power = _constant(x, first)
        for coefficient in rest:
            power = _call(builder, "fmuladd", x, power, fraction, _constant(x, coefficient))
        integer, mantissa = (_I32, 23) if x.scalar == types.float32 else (_I64, 52)
        integers = ir.VectorType(integer, x.lanes)
        exponent = builder.shl(
            builder.fptosi(whole, integers), ir.Constant(integers, [mantissa] * x.lanes)
        )
        shifted = builder.sub(builder.bitcast(power, integers), exponent)
        return builder.bitcast(shifted, _llvm_vector(x))

    return x(x), generate


# ---------------------------------------------------------------- bits and bytes
@intrinsic
def store_bit_ranges(typing, array, offset, begin, end, keep):
    """Write one byte a lane: bits ``begin <= bit < end`` set where ``keep``, else 0.

    ``begin`` and ``end`` are vectors within [0, 8]; they are truncated to integers.
    """

    def generate(context, builder, sig, args):
        lanes = begin.lanes
        integers, octets = ir.VectorType(_I32, lanes), ir.VectorType(_I8, lanes)
        ones = ir.Constant(integers, [1] * lanes)

        def below(value):
            shifted = builder.shl(ones, builder.fptosi(value, integers))
            return builder.sub(shifted, ones)

        bits = builder.and_(below(args[3]), builder.not_(below(args[2])))
        bits = builder.select(args[4], bits, ir.Constant(integers, [0] * lanes))
        place = _address(context, builder, array, args[0], args[1], octets)
        builder.store(builder.trunc(bits, octets), place, align=1)
        return context.get_dummy_value()

    return types.void(array, offset, begin, end, keep), generate


@intrinsic
def bytes_with_bit(typing, array, offset, bit):
    """Which of the 32 bytes from ``array[offset]`` share a bit with ``bit``: int64 of 32 flags."""

    def generate(context, builder, sig, args):
        octets = ir.VectorType(_I8, 32)
        place = _address(context, builder, array, args[0], args[1], octets)
        values = builder.load(place, align=1, typ=octets)
        pattern = _broadcast(builder, _integer(builder, args[2], _I8), 32)
        found = builder.icmp_unsigned(
            "!=", builder.and_(values, pattern), ir.Constant(octets, [0] * 32)
        )
        return builder.zext(builder.bitcast(found, _I32), _I64)

    return types.int64(array, offset, bit), generate


@intrinsic
def trailing_zeros(typing, bits):
    """Index of the lowest set bit of a non-zero int64."""

    def generate(context, builder, sig, args):
        kind = ir.FunctionType(_I64, [_I64, ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(function, [args[0], ir.Constant(ir.IntType(1), 1)])

    return types.int64(bits), generate


@intrinsic
def append_with_bit(typing, array, offset, bit, target, count, base):
    """Append ``base + i`` to int32 ``target`` for those of 16 bytes that share a bit with ``bit``.

    Without a branch, where the CPU can compress a vector (AVX-512). Writes up to 16 elements from
    ``target[count]``, of which those beyond the returned new count mean nothing.
    """

    def generate(context, builder, sig, args):
        octets, integers = ir.VectorType(_I8, 16), ir.VectorType(_I32, 16)
        place = _address(context, builder, array, args[0], args[1], octets)
        values = builder.load(place, align=1, typ=octets)
        pattern = _broadcast(builder, _integer(builder, args[2], _I8), 16)
        found = builder.icmp_unsigned(
            "!=", builder.and_(values, pattern), ir.Constant(octets, [0] * 16)
        )
        first = _broadcast(builder, _integer(builder, args[5], _I32), 16)
        numbers = builder.add(first, ir.Constant(integers, list(range(16))))
        masks = ir.VectorType(ir.IntType(1), 16)
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(integers, [integers, masks, integers]),
            "llvm.experimental.vector.compress.v16i32",
        )
        packed = builder.call(compress, [numbers, found, ir.Constant(integers, ir.Undefined)])
        end = _integer(builder, args[4])
        builder.store(packed, _address(context, builder, target, args[3], end, integers), align=4)
        bits = builder.zext(builder.bitcast(found, ir.IntType(16)), _I64)
        population = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_I64, [_I64]), "llvm.ctpop.i64"
        )
        return builder.add(end, builder.call(population, [bits]))

    return types.int64(array, offset, bit, target, count, base), generate


# ---------------------------------------------------------------- small matrix products
def _row_accumulator(columns: int, group: int):
    """See ``add_rows_4`` below; ``group`` hits share each load of the matrix."""

    @intrinsic
    def add_rows(typing, lanes, target, stride, start, hits, i, weights, matrix, first, step):
        def generate(context, builder, sig, args):
            scalar = _llvm_scalar(target.dtype)
            row = ir.VectorType(scalar, columns)
            row_type = VectorType(target.dtype, columns)
            align = _element_bytes(target)
            _, into, into_step, into_start, list_, number, from_, table, table_first, table_step = (
                args
            )
            into_step, into_start, number, table_first, table_step = (
                _integer(builder, x)
                for x in (into_step, into_start, number, table_first, table_step)
            )

            def constant(value: int):
                return ir.Constant(_I64, value)

            sums = [ir.Constant(row, [0.0] * columns)] * group
            for lane in range(lanes.width):
                there = builder.add(table_first, builder.mul(table_step, constant(lane)))
                values = builder.load(
                    _address(context, builder, matrix, table, there, row), align=align, typ=row
                )
                for k in range(group):
                    here = builder.mul(builder.add(number, constant(k)), constant(lanes.width))
                    here = builder.add(here, constant(lane))
                    weight = builder.load(
                        _address(context, builder, weights, from_, here, scalar), typ=scalar
                    )
                    weight = _broadcast(builder, weight, columns)
                    sums[k] = _call(builder, "fmuladd", row_type, weight, values, sums[k])
            for k in range(group):
                at = builder.add(number, constant(k))
                hit = builder.load(_address(context, builder, hits, list_, at, _I32), typ=_I32)
                at = builder.add(builder.mul(_integer(builder, hit), into_step), into_start)
                pointer = _address(context, builder, target, into, at, row)
                old = builder.load(pointer, align=align, typ=row)
                builder.store(builder.fadd(old, sums[k]), pointer, align=align)
            return context.get_dummy_value()

        sig = types.void(lanes, target, stride, start, hits, i, weights, matrix, first, step)
        return sig, generate

    return add_rows


# add_rows_C(lanes, target, stride, start, hits, i, weights, matrix, first, step), C columns:
# target[hits[i] * stride + start :][:C] +=
#     sum over lanes l of weights[i * width + l] * matrix[first + l * step :][:C]
# A lane's value times a row: no sum across the lanes of a register is ever needed. The ones named
# four_rows do it for the different hits i, i + 1, i + 2 and i + 3.
add_rows_4, add_four_rows_4 = _row_accumulator(4, 1), _row_accumulator(4, 4)
add_rows_8, add_four_rows_8 = _row_accumulator(8, 1), _row_accumulator(8, 4)
add_rows_16, add_four_rows_16 = _row_accumulator(16, 1), _row_accumulator(16, 4)
