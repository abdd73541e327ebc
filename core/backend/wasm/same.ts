/** Which kernels become the same function: the layers of a network and the updates of its parameters share theirs. */
import { type Expr, operands } from "../../kernel/expr.ts";
import {
  bodies,
  type Kernel,
  type LoopKernel,
  parallelLoop,
  roots,
  type Stmt,
} from "../../kernel/kernel.ts";

/** Of a longer range that the caller gives, code depends on nothing but the remainder by the largest step. */
const [longRange, largestStep] = [256, 16];

/** A kernel as text: kernels with the same become the same function, though `rangeOf` may differ. */
export const functionKey = (kernel: Kernel): string =>
  kernel.kind === "loops" ? loopsKey(kernel) : JSON.stringify({ ...kernel, name: "" });

/** The extent of a loop kernel whose caller gives the range. */
export const rangeOf = (kernel: Kernel): number | null =>
  kernel.kind === "loops" ? (parallelLoop(kernel)?.to.value ?? null) : null;

function loopsKey(kernel: LoopKernel): string {
  const out: (string | number)[] = [];
  for (const { dtype, access } of kernel.buffers) out.push(dtype, access);
  const numbers = new Map<Expr, number>();
  const expr = (e: Expr): void => {
    const known = numbers.get(e);
    if (known !== undefined) {
      out.push(known);
      return;
    }
    numbers.set(e, numbers.size);
    out.push(e.kind, e.dtype);
    if (e.kind === "lit") out.push(Object.is(e.value, -0) ? "-0" : e.value);
    else if (e.kind === "load") out.push(e.buffer);
    else if ("op" in e) out.push(e.op);
    for (const x of operands(e)) expr(x);
  };
  const statements = (body: readonly Stmt[]): void => {
    out.push("{");
    for (const s of body) {
      out.push(s.kind);
      if (s.kind === "for") out.push(s.parallel === true ? 1 : 0);
      if (s.kind === "store") out.push(s.buffer);
      if (s.kind === "for" || s.kind === "set") expr(s.v);
      for (const e of roots(s))
        if (s === whole && e === whole.to) out.push(rangeClass(whole.to.value));
        else expr(e);
      bodies(s).forEach(statements);
    }
    out.push("}");
  };
  const whole = parallelLoop(kernel);
  statements(kernel.body);
  return out.join();
}
const rangeClass = (extent: number): number =>
  extent < longRange ? extent : longRange + (extent % largestStep);
