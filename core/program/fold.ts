/** Constant folding: operations on numbers that are known give the number that the kernel would. Only what is exact is folded: a
 *  double holds the sum, product, quotient and root of two narrower floats so closely that rounding it is rounding the true value
 *  (53 bits are 2·24 + 2 and more), and whole numbers are taken where they do not wrap.
 *  @source Figueroa 1995, "When is double rounding innocuous?" */
import { castNumber, isFloat } from "../dtype.ts";
import { type Equation, isLiteral, type Var } from "../ir/jaxpr.ts";
import { Literal } from "../ndarray.ts";

const operations = new Map<string, (x: number, y: number) => number>(
  Object.entries({
    neg: (x: number) => -x,
    abs: Math.abs,
    add: (x: number, y: number) => x + y,
    sub: (x: number, y: number) => x - y,
    mul: (x: number, y: number) => x * y,
    div: (x: number, y: number) => x / y,
    sqrt: Math.sqrt,
    convert_element_type: (x: number) => x,
  }),
);

/** The value of an equation of which all operands are numbers, or null where it takes a kernel to tell. */
export function fold({ primitive, inputs, outputs }: Equation): Literal | null {
  const operation = operations.get(primitive.name);
  if (operation === undefined || !inputs.every(isLiteral)) return null;
  const [x, y = x] = inputs as readonly [Literal, Literal?];
  const { dtype, weakType } = (outputs[0] as Var).aval;
  const value = operation(x.value, y.value);
  // which NaN it is the processor decides
  if (Number.isNaN(value)) return null;
  const stored = castNumber(value, dtype);
  if (isFloat(dtype)) return new Literal(stored, dtype, weakType);
  // a float on its way to an integer is cut off and saturates; what is computed or converted between integers wraps
  return stored === value || isFloat(x.dtype) || dtype === "bool"
    ? new Literal(stored + 0, dtype, weakType)
    : null;
}
