"""What kernels do with vectors: memory, functions, bits, small matrix products.

Arrays are addressed by a flat offset in elements, whatever their shape: they must be C-contiguous.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from labelsplat.splats.cpu.vectors import (
    I8,
    I32,
    I64,
    VectorType,
    as_vector,
    broadcast,
    call,
    constant,
    llvm_scalar,
    llvm_vector,
    vector_of,
)

BLOCK = 4  # lanes in a row, where a vector holds a block of pixels

# 2^x = 2^n 2^f with |f| <= 1/2. float32: minimax of degree 5; float64: Taylor of degree 13.
_EXP2 = {
    types.float32: (
        1.3276472e-3,
        9.6755410e-3,
        5.5507131e-2,
        2.4022120e-1,
        6.9314694e-1,
        1.0000001,
    ),
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


# ---------------------------------------------------------------- memory
def _integer(builder, value, kind: ir.IntType = I64):
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
        return ir.Constant(I64, lanes.width)

    return types.int64(lanes), generate


@intrinsic
def load(typing, lanes, array, offset):
    """The elements ``array[offset : offset + width]`` as a vector."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        kind = llvm_vector(vector)
        place = _address(context, builder, array, args[1], args[2], kind)
        return builder.load(place, align=_element_bytes(array), typ=kind)

    return vector(lanes, array, offset), generate


@intrinsic
def store(typing, array, offset, vector):
    """Write ``vector`` to ``array[offset : offset + width]``."""

    def generate(context, builder, sig, args):
        place = _address(context, builder, array, args[0], args[1], llvm_vector(vector))
        builder.store(args[2], place, align=_element_bytes(array))
        return context.get_dummy_value()

    return types.void(array, offset, vector), generate


@intrinsic
def splat(typing, lanes, array, offset):
    """The element ``array[offset]`` in every lane."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        scalar = llvm_scalar(array.dtype)
        place = _address(context, builder, array, args[1], args[2], scalar)
        value = builder.load(place, align=_element_bytes(array), typ=scalar)
        return broadcast(builder, value, lanes.width)

    return vector(lanes, array, offset), generate


@intrinsic
def full(typing, lanes, array, value):
    """``value`` in every lane, as a vector of the array's element type."""
    vector = VectorType(array.dtype, lanes.width)

    def generate(context, builder, sig, args):
        return as_vector(context, builder, args[2], value, vector)

    return vector(lanes, array, value), generate


def _block_pointers(context, builder, kind, lanes, array, offset, row_step, step):
    """Vector of pointers to ``array[offset + row * row_step + column * step]`` of each lane."""
    integers = ir.VectorType(I32, lanes)
    rows = ir.Constant(integers, [lane // BLOCK for lane in range(lanes)])
    columns = ir.Constant(integers, [lane % BLOCK for lane in range(lanes)])
    row_step, step = (
        broadcast(builder, _integer(builder, x, I32), lanes) for x in (row_step, step)
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
        align = ir.Constant(I32, _element_bytes(array))
        operands = [pointers, align, args[5], constant(vector, 0.0)]
        return _call_on_pointers(builder, "gather", vector, llvm_vector(vector), operands)

    return vector(lanes, array, offset, row_step, step, mask), generate


@intrinsic
def scatter_block(typing, array, offset, row_step, step, mask, vector):
    """The counterpart of ``gather_block``: write a block, those lanes of the mask."""

    def generate(context, builder, sig, args):
        pointers = _block_pointers(context, builder, array, vector.lanes, *args[:4])
        align = ir.Constant(I32, _element_bytes(array))
        operands = [args[5], pointers, align, args[4]]
        _call_on_pointers(builder, "scatter", vector, ir.VoidType(), operands)
        return context.get_dummy_value()

    return types.void(array, offset, row_step, step, mask, vector), generate


# ---------------------------------------------------------------- functions of vectors
@intrinsic
def fma(typing, a, b, c):
    """``a * b + c`` in one instruction where the CPU has one."""

    def generate(context, builder, sig, args):
        return call(builder, "fmuladd", a, *args)

    return (a(a, b, c), generate) if isinstance(a, VectorType) and a == b == c else None


def _unary(name: str):
    @intrinsic
    def function(typing, a):
        def generate(context, builder, sig, args):
            return call(builder, name, a, *args)

        return a(a), generate

    return function


sqrt = _unary("sqrt")
ceil = _unary("ceil")


def _pick(text: str):
    @intrinsic
    def pick(typing, a, b):
        vector = vector_of((a, b))

        def generate(context, builder, sig, args):
            x = as_vector(context, builder, args[0], a, vector)
            y = as_vector(context, builder, args[1], b, vector)
            return builder.select(builder.fcmp_ordered(text, x, y), x, y)

        return vector(a, b), generate

    return pick


minimum = _pick("<")  # the second argument where either is NaN
maximum = _pick(">")


@intrinsic
def select(typing, mask, a, b):
    """``a`` where ``mask``, else ``b``."""
    vector = vector_of((a, b))

    def generate(context, builder, sig, args):
        x = as_vector(context, builder, args[1], a, vector)
        y = as_vector(context, builder, args[2], b, vector)
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
        whole = call(builder, "rint", x, args[0])
        fraction = builder.fsub(whole, args[0])
        first, *rest = _EXP2[x.scalar]
        power = constant(x, first)
        for coefficient in rest:
            power = call(builder, "fmuladd", x, power, fraction, constant(x, coefficient))
        integer, mantissa = (I32, 23) if x.scalar == types.float32 else (I64, 52)
        integers = ir.VectorType(integer, x.lanes)
        exponent = builder.shl(
            builder.fptosi(whole, integers), ir.Constant(integers, [mantissa] * x.lanes)
        )
        shifted = builder.sub(builder.bitcast(power, integers), exponent)
        return builder.bitcast(shifted, llvm_vector(x))

    return x(x), generate


# ---------------------------------------------------------------- bits and bytes
@intrinsic
def store_bit_ranges(typing, array, offset, begin, end, keep):
    """Write one byte a lane: bits ``begin <= bit < end`` set where ``keep``, else 0.

    ``begin`` and ``end`` are vectors within [0, 8]; they are truncated to integers.
    """

    def generate(context, builder, sig, args):
        lanes = begin.lanes
        integers, octets = ir.VectorType(I32, lanes), ir.VectorType(I8, lanes)
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
        octets = ir.VectorType(I8, 32)
        place = _address(context, builder, array, args[0], args[1], octets)
        values = builder.load(place, align=1, typ=octets)
        pattern = broadcast(builder, _integer(builder, args[2], I8), 32)
        found = builder.icmp_unsigned(
            "!=", builder.and_(values, pattern), ir.Constant(octets, [0] * 32)
        )
        return builder.zext(builder.bitcast(found, I32), I64)

    return types.int64(array, offset, bit), generate


@intrinsic
def trailing_zeros(typing, bits):
    """Index of the lowest set bit of a non-zero int64."""

    def generate(context, builder, sig, args):
        kind = ir.FunctionType(I64, [I64, ir.IntType(1)])
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
        octets, integers = ir.VectorType(I8, 16), ir.VectorType(I32, 16)
        place = _address(context, builder, array, args[0], args[1], octets)
        values = builder.load(place, align=1, typ=octets)
        pattern = broadcast(builder, _integer(builder, args[2], I8), 16)
        found = builder.icmp_unsigned(
            "!=", builder.and_(values, pattern), ir.Constant(octets, [0] * 16)
        )
        first = broadcast(builder, _integer(builder, args[5], I32), 16)
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
        bits = builder.zext(builder.bitcast(found, ir.IntType(16)), I64)
        population = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(I64, [I64]), "llvm.ctpop.i64"
        )
        return builder.add(end, builder.call(population, [bits]))

    return types.int64(array, offset, bit, target, count, base), generate


# ---------------------------------------------------------------- small matrix products
def _row_accumulator(columns: int, group: int):
    """See ``add_rows_4`` below; ``group`` hits share each load of the matrix."""

    @intrinsic
    def add_rows(typing, lanes, target, stride, start, hits, i, weights, matrix, first, step):
        def generate(context, builder, sig, args):
            scalar = llvm_scalar(target.dtype)
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

            def number_of(value: int):
                return ir.Constant(I64, value)

            sums = [ir.Constant(row, [0.0] * columns)] * group
            for lane in range(lanes.width):
                there = builder.add(table_first, builder.mul(table_step, number_of(lane)))
                values = builder.load(
                    _address(context, builder, matrix, table, there, row), align=align, typ=row
                )
                for k in range(group):
                    here = builder.mul(builder.add(number, number_of(k)), number_of(lanes.width))
                    here = builder.add(here, number_of(lane))
                    weight = builder.load(
                        _address(context, builder, weights, from_, here, scalar), typ=scalar
                    )
                    weight = broadcast(builder, weight, columns)
                    sums[k] = call(builder, "fmuladd", row_type, weight, values, sums[k])
            for k in range(group):
                at = builder.add(number, number_of(k))
                hit = builder.load(_address(context, builder, hits, list_, at, I32), typ=I32)
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
