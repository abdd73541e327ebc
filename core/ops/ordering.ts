/** Routines that put the slices of an array in order, in the kernel language. NaN comes after all numbers, −0 equals +0, and
 *  equal elements keep their order. */
import { type DType, dtypes, isFloat } from "../dtype.ts";
import * as K from "../kernel/expr.ts";
import { type Expr, KVar } from "../kernel/expr.ts";
import {
  type Buf,
  loop,
  maxScratch,
  parallel,
  type RoutineLowering,
  set,
  type Stmt,
  type Temp,
  when,
  whileLoop,
} from "../kernel/kernel.ts";
import { range, sizeOf } from "../shape.ts";

const local = (name: string, dtype: DType = "int32"): KVar => new KVar(dtype, name);
const lt = (a: Expr, b: Expr): Expr => K.compare("lt", a, b);
const not = (x: Expr): Expr => K.unary("not", x);

/** a before b in increasing order: NaN after all numbers. */
function before(a: Expr, b: Expr): Expr {
  const less = lt(a, b);
  if (!isFloat(a.dtype)) return less;
  return K.or(less, K.and(K.compare("ne", b, b), K.compare("eq", a, a)));
}

// ---- the slices along an axis ----

/** The slices of an array along an axis, `inner` elements apart. */
interface Slices {
  readonly n: number;
  readonly outer: number;
  readonly inner: number;
}
function slicesOf(shape: readonly number[], axis: number): Slices {
  return {
    n: shape[axis] as number,
    outer: sizeOf(shape.slice(0, axis)),
    inner: sizeOf(shape.slice(axis + 1)),
  };
}
/** Statements for every slice, given where an element of it lies in an array whose slices have `size` elements. */
function eachSlice(
  { outer, inner }: Slices,
  independent: boolean,
  body: (place: (position: Expr, size: number) => Expr) => Stmt[],
): Stmt[] {
  const all = independent ? parallel : loop;
  return [
    all(outer * inner, (slice) => {
      const [o, i] =
        inner === 1
          ? [slice, K.int(0)]
          : [K.div(slice, K.int(inner)), K.binary("rem", slice, K.int(inner))];
      return body((position, size) =>
        K.add(K.mul(K.add(K.mul(o, K.int(size)), position), K.int(inner)), i),
      );
    }),
  ];
}

// ---- sorting ----

/** The order of slices: by the first operands, which have these dtypes, one after the other. */
export interface Order {
  readonly keys: readonly DType[];
  readonly descending: boolean;
}
type At = (input: number, position: Expr) => Expr;

/** Merge sort of a permutation, bottom up. `order` and `spare` hold positions 0 … n − 1 within one slice;
 *  `goesBefore(p, q)` compares the elements at two positions. The sorted permutation ends in `order`.
 *  @source Knuth, The Art of Computer Programming 3, 5.2.4 */
function mergeSort(
  n: number,
  order: Buf,
  spare: Buf,
  goesBefore: (p: Expr, q: Expr) => Expr,
): Stmt[] {
  const [width, low, middle, high] = [local("width"), local("low"), local("middle"), local("high")];
  const [i, j, p, q] = [local("i"), local("j"), local("p"), local("q")];
  const takeLeft = local("takeLeft", "bool");
  const end = K.int(n);
  const merge: Stmt[] = [
    set(middle, K.min(K.add(low, width), end)),
    set(high, K.min(K.add(middle, width), end)),
    set(i, low),
    set(j, middle),
    loop(
      high,
      (at) => [
        set(p, order.at(K.min(i, K.int(n - 1)))),
        set(q, order.at(K.min(j, K.int(n - 1)))),
        // the right one goes first only if it is strictly before: equal keys keep their order
        set(takeLeft, K.and(lt(i, middle), K.or(K.compare("ge", j, high), not(goesBefore(q, p))))),
        spare.store(at, K.select(takeLeft, p, q)),
        set(i, K.add(i, K.cast(takeLeft, "int32"))),
        set(j, K.add(j, K.cast(not(takeLeft), "int32"))),
      ],
      low,
    ),
  ];
  return [
    loop(n, (at) => [order.store(at, at)]),
    set(width, K.int(1)),
    whileLoop(lt(width, end), [
      set(low, K.int(0)),
      whileLoop(lt(low, end), [...merge, set(low, high)]),
      loop(n, (at) => [order.store(at, spare.at(at))]),
      set(width, K.mul(width, K.int(2))),
    ]),
  ];
}
/** Lexicographic order, from key number `key` to `last`: the first one that differs decides. */
function lexicographic(at: At, p: Expr, q: Expr, last: number, key = 0): Expr {
  const [a, b] = [at(key, p), at(key, q)];
  const less = before(a, b);
  if (key === last) return less;
  return K.or(less, K.and(not(before(b, a)), lexicographic(at, p, q, last, key + 1)));
}

/** Bits of x as an unsigned number that increases with x. */
function rankOf(x: Expr, descending: boolean): Expr {
  const word = (value: number): Expr => K.lit(value, "uint32");
  const top = 0x80000000;
  let rank: Expr;
  if (isFloat(x.dtype)) {
    const value = K.cast(x, "float32");
    const zero = K.lit(0, "float32");
    const bits = K.bitcast(K.select(K.compare("eq", value, zero), zero, value), "uint32");
    const negative = K.compare("ge", bits, word(top));
    rank = K.binary("xor", bits, K.select(negative, word(0xffffffff), word(top)));
    rank = K.select(K.compare("ne", value, value), word(0xffffffff), rank);
  } else {
    const least = K.int(dtypes[x.dtype].min);
    rank = K.bitcast(K.sub(K.cast(x, "int32"), least), "uint32");
  }
  return descending ? not(rank) : rank;
}
/** Bits of a rank that differ between elements, where radix sort can take them. */
const rankBits = (dtype: DType, descending: boolean): number =>
  isFloat(dtype) || descending ? 32 : 8 * dtypes[dtype].bytes;
/** Slices shorter than this are merged. */
const leastRadix = 64;
/** bits of a digit: the counters of all digits stay in the first-level cache, and are few for short slices */
const digitBits = (n: number): number => (n >= 2 ** 14 ? 11 : 8);

/** Room for a permutation and for the ranks of the elements at its positions. */
type Places = readonly [order: Buf, ranks: Buf];
/** Radix sort of a permutation, least significant digit of the last key first, from `now` to `next` and back. Gives the
 *  buffer with the sorted one.
 *  @source Knuth, The Art of Computer Programming 3, 5.2.5 */
function radixSort(
  n: number,
  { keys, descending }: Order,
  at: At,
  now: Places,
  next: Places,
  counts: Buf,
): { readonly body: Stmt[]; readonly sorted: Buf } {
  const bits = digitBits(n);
  const size = 2 ** bits;
  const body: Stmt[] = [loop(n, (i) => [now[0].store(i, i)])];
  for (let key = keys.length - 1; key >= 0; key--) {
    const passes = Math.ceil(rankBits(keys[key] as DType, descending) / bits);
    const slotOf = (rank: Expr, pass: number): Expr => {
      const digit = K.binary("shrl", rank, K.lit(pass * bits, "uint32"));
      const low = K.binary("and", digit, K.lit(size - 1, "uint32"));
      return K.add(K.bitcast(low, "int32"), K.int(pass * size));
    };
    const increment = (where: KVar): Stmt => counts.store(where, K.add(counts.at(where), K.int(1)));
    const [rank, from] = [local("rank", "uint32"), local("from")];
    const slots = range(passes).map((pass) => local(`slot${pass}`));
    body.push(
      loop(passes * size, (i) => [counts.store(i, K.int(0))]),
      loop(n, (i) => [
        set(rank, rankOf(at(key, now[0].at(i)), descending)),
        now[1].store(i, rank),
        ...slots.flatMap((slot, pass) => [set(slot, slotOf(rank, pass)), increment(slot)]),
      ]),
    );
    slots.forEach((slot, pass) => {
      const [sum, count, to] = [local("sum"), local("count"), local("to")];
      body.push(
        set(sum, K.int(0)),
        loop(
          (pass + 1) * size,
          (i) => [set(count, counts.at(i)), counts.store(i, sum), set(sum, K.add(sum, count))],
          pass * size,
        ),
        loop(n, (i) => [
          set(rank, now[1].at(i)),
          set(from, now[0].at(i)),
          set(slot, slotOf(rank, pass)),
          set(to, counts.at(slot)),
          increment(slot),
          next[0].store(to, from),
          next[1].store(to, rank),
        ]),
      );
      [now, next] = [next, now];
    });
  }
  return { body, sorted: now[0] };
}

/** A routine that sorts the slices along an axis and then writes, for each of the first `count` places, what stands at the
 *  position that belongs there. */
export function sortSlices(
  shape: readonly number[],
  axis: number,
  order: Order,
  count: number,
  write: (
    inputs: readonly Buf[],
    outputs: readonly Buf[],
    from: Expr,
    position: Expr,
    to: Expr,
  ) => Stmt[],
): RoutineLowering {
  const slices = slicesOf(shape, axis);
  const { n, outer, inner } = slices;
  const { keys, descending } = order;
  const length = Math.max(1, n);
  const radix = n >= leastRadix && !keys.includes("float64");
  const positions = { dtype: "int32", length } as const;
  const ranks = { dtype: "uint32", length } as const;
  const digits = Math.ceil(Math.max(...keys.map((d) => rankBits(d, descending))) / digitBits(n));
  const counts = { dtype: "int32", length: digits * 2 ** digitBits(n) } as const;
  const room: readonly Temp[] = [positions, positions, ...(radix ? [ranks, ranks, counts] : [])];
  // slices are independent where each thread has room for one
  const apart =
    outer * inner > 1 && room.reduce((sum, t) => sum + t.length * 4 + 16, 0) <= maxScratch;
  return {
    kind: "routine",
    temps: room.map((t) => (apart ? { ...t, scratch: true } : t)),
    build: (inputs, outputs, temps) => {
      const [a, b, rankA, rankB, counters] = temps as [Buf, Buf, Buf, Buf, Buf];
      return eachSlice(slices, apart, (place) => {
        const at: At = (input, position) => (inputs[input] as Buf).at(place(position, n));
        const goesBefore = (p: Expr, q: Expr): Expr =>
          lexicographic(at, descending ? q : p, descending ? p : q, keys.length - 1);
        const { body, sorted } = radix
          ? radixSort(n, order, at, [a, rankA], [b, rankB], counters)
          : { body: mergeSort(n, a, b, goesBefore), sorted: a };
        const from = local("from");
        return [
          ...body,
          loop(count, (k) => [
            set(from, sorted.at(k)),
            ...write(inputs, outputs, place(from, n), from, place(k, count)),
          ]),
        ];
      });
    },
  };
}

// ---- the first few ----

/** A heap pays for fewer elements than this, and for a small part of a slice. */
const mostKept = 256;
const leastPart = 8;

/** A routine for the `count` largest elements of each slice along an axis, in decreasing order, and their positions. The
 *  largest so far are a heap, whose root is the one that goes first when a larger one comes: of equal ones the last.
 *  @source Williams 1964, "Algorithm 232: Heapsort" */
export function largest(
  shape: readonly number[],
  dtype: DType,
  axis: number,
  count: number,
): RoutineLowering {
  const slices = slicesOf(shape, axis);
  const { n } = slices;
  if (count > mostKept || count * leastPart > n)
    return sortSlices(
      shape,
      axis,
      { keys: [dtype], descending: true },
      count,
      ([input], [values, positions], from, position, to) => [
        (values as Buf).store(to, (input as Buf).at(from)),
        (positions as Buf).store(to, position),
      ],
    );
  return {
    kind: "routine",
    build: (inputs, outputs) => {
      const [input] = inputs as readonly [Buf];
      const [values, positions] = outputs as readonly [Buf, Buf];
      if (count === 0) return [];
      return eachSlice(slices, true, (place) => {
        const [x, from] = [local("x", dtype), local("from")];
        const [hole, last] = [local("hole"), local("last")];
        const value = (k: Expr): Expr => values.at(place(k, count));
        const position = (k: Expr): Expr => positions.at(place(k, count));
        const put = (k: Expr, v: Expr, p: Expr): Stmt[] => [
          values.store(place(k, count), v),
          positions.store(place(k, count), p),
        ];
        const root = K.int(0);
        const left = (k: Expr): Expr => K.add(K.mul(k, K.int(2)), K.int(1));
        const worse = (v: Expr, p: Expr, w: Expr, q: Expr): Expr =>
          K.or(before(v, w), K.and(not(before(w, v)), lt(q, p)));
        /** puts x where `hole` is or below, among the first `size` elements */
        const sift = (size: Expr): Stmt[] => {
          const [child, right] = [local("child"), local("right")];
          return [
            set(child, left(hole)),
            whileLoop(lt(child, size), [
              set(right, K.min(K.add(child, K.int(1)), K.sub(size, K.int(1)))),
              set(
                child,
                K.select(
                  worse(value(right), position(right), value(child), position(child)),
                  right,
                  child,
                ),
              ),
              when(
                worse(value(child), position(child), x, from),
                [
                  ...put(hole, value(child), position(child)),
                  set(hole, child),
                  set(child, left(child)),
                ],
                [set(child, size)],
              ),
            ]),
            ...put(hole, x, from),
          ];
        };
        const read = (at: Expr): Stmt[] => [set(from, at), set(x, input.at(place(at, n)))];
        return [
          // the first elements, from the last to the first, each with what is below it
          loop(count, (i) => [
            set(hole, K.sub(K.int(count - 1), i)),
            ...read(hole),
            ...sift(K.int(count)),
          ]),
          loop(
            n,
            (at) => [
              ...read(at),
              when(before(value(root), x), [set(hole, root), ...sift(K.int(count))]),
            ],
            count,
          ),
          // the root goes to the end, again and again
          loop(
            count,
            (i) => [
              set(last, K.sub(K.int(count), i)),
              set(from, position(last)),
              set(x, value(last)),
              ...put(last, value(root), position(root)),
              set(hole, root),
              ...sift(last),
            ],
            1,
          ),
        ];
      });
    },
  };
}
