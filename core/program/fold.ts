/** Constant folding: operations on numbers that are known give the number that the kernel would. Only what is exact is folded: a
 *  double holds the sum, product, quotient and root of two narrower floats so closely that rounding it is rounding the true value
 *  (53 bits are 2·24 + 2 and more), and whole numbers are taken where they do not wrap.
 *  @source Figueroa 1995, "When is double rounding innocuous?" */
import { castNumber, isFloat } from "../dtype.ts";
import { type Equation, isLiteral, type Var } from "../ir/jaxpr.ts";
import { Literal } from "../ndarray.ts";

const operations: { readonly [primitive: string]: (x: number, y: number) => number } = {
  neg: (x) => -x,
  abs: Math.abs,
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  sqrt: Math.sqrt,
  convert_element_type: (x) => x,
};

/** The value of an equation of which all operands are numbers, or null where it takes a kernel to tell. */
export function fold({ primitive, inputs, outputs }: Equation): Literal | null {
  if (inputs.length === 0 || !inputs.every(isLiteral)) return null;
  const operation = Object.hasOwn(operations, primitive.name) ? operations[primitive.name] : null;
  const [x, y] = inputs as readonly Literal[];
  if (!operation || x === undefined) return null;
  const { dtype, weakType } = (outputs[0] as Var).aval;
  const value = operation(x.value, (y ?? x).value);
  // which NaN it is the processor decides
  if (Number.isNaN(value)) return null;
  const stored = castNumber(value, dtype);
  if (isFloat(dtype)) return new Literal(stored, dtype, weakType);
  // a float on its way to an integer is cut off and saturates; what is computed or converted between integers wraps
  return stored === value || isFloat(x.dtype) || dtype === "bool"
    ? new Literal(stored + 0, dtype, weakType)
    : null;
}
