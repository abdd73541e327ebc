/** Types follow a function through the transforms. Checked by the compiler; nothing here runs. */
import {
  grad,
  hessian,
  jacrev,
  jit,
  jvp,
  type NDArray,
  type np,
  tree,
  valueAndGrad,
  vjp,
  vmap,
} from "../../index.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <T extends true>(): T | undefined => undefined;

interface Params {
  readonly w: NDArray;
  readonly layers: readonly { readonly b: NDArray }[];
}
declare const params: Params;
declare const x: NDArray;
declare const loss: (p: Params, x: NDArray) => NDArray;
declare const withAux: (
  p: Params,
  x: NDArray,
) => readonly [NDArray, { logits: NDArray; n: number }];
declare const predict: (p: Params, x: NDArray) => { y: NDArray; score: number };

export function inference(): void {
  const g = grad(loss)(params, x);
  check<Equal<typeof g, Params>>();
  const g1 = grad(loss, { argnums: 1 })(params, x);
  check<Equal<typeof g1, NDArray>>();
  const [gp, gx] = grad(loss, { argnums: [0, 1] })(params, x);
  check<Equal<typeof gp, Params>>();
  check<Equal<typeof gx, NDArray>>();
  const [ga, aux] = grad(withAux, { hasAux: true })(params, x);
  check<Equal<typeof ga, Params>>();
  check<Equal<typeof aux, { logits: NDArray; n: NDArray }>>();
  const [value, gradient] = valueAndGrad(loss)(params, x);
  check<Equal<typeof value, NDArray>>();
  check<Equal<typeof gradient, Params>>();
  const [[v, a], gv] = valueAndGrad(withAux, { hasAux: true })(params, x);
  check<Equal<typeof v, NDArray>>();
  check<Equal<typeof a, { logits: NDArray; n: NDArray }>>();
  check<Equal<typeof gv, Params>>();

  const mapped = vmap(predict, [null, 0])(params, x);
  check<Equal<typeof mapped, { y: NDArray; score: NDArray }>>();
  const jitted = jit(predict);
  check<Equal<Parameters<typeof jitted>, [p: Params, x: NDArray]>>();
  const out = jitted(params, x);
  check<Equal<typeof out.score, NDArray>>();
  const composed = jit(vmap(grad(loss), [null, 0]))(params, x);
  check<Equal<typeof composed, Params>>();

  const [y, dy] = jvp((p: Params) => p.w, [params], [params]);
  check<Equal<typeof y, NDArray>>();
  check<Equal<typeof dy, NDArray>>();
  const [, pull] = vjp((p: Params, z: NDArray) => p.w.add(z), params, x);
  const [cp, cz] = pull(x);
  check<Equal<typeof cp, Params>>();
  check<Equal<typeof cz, NDArray>>();

  const jac = jacrev((p: Params) => ({ a: p.w }))(params);
  check<Equal<typeof jac, { a: Params }>>();
  const h = hessian((z: NDArray) => z.sum())(x);
  check<Equal<typeof h, NDArray>>();

  const norms = tree.map((leaf) => leaf.size, params);
  const size: number = norms.w;
  const deep: number | undefined = norms.layers[0]?.b;
  void size;
  void deep;
  const dtype: np.DType = x.dtype;
  void dtype;
}

export function rejected(): void {
  // @ts-expect-error a loss must give an array or a number
  grad((p: Params) => p);
  // @ts-expect-error a loss must give an array or a number
  valueAndGrad((z: NDArray) => ({ loss: z }));
  // @ts-expect-error the second argument is missing
  grad(loss)(params);
  // @ts-expect-error the first argument is a tree of parameters
  grad(loss)(x, x);
  // @ts-expect-error without hasAux there is no auxiliary result
  grad(withAux);
  // @ts-expect-error hasAux needs a pair
  grad(loss, { hasAux: true });
  // @ts-expect-error an axis is a number, null, or a tree of them
  vmap(loss, "0");
  // @ts-expect-error too many arguments
  jit(loss)(params, x, x);
  // @ts-expect-error jit takes a function
  jit(x);
  // @ts-expect-error no such option
  jit(loss, { staticArguments: [1] });
  // @ts-expect-error tangents have the structure of the primals
  jvp((p: Params) => p.w, [params], [x]);
  // @ts-expect-error a cotangent has the type of the result
  vjp((p: Params) => ({ a: p.w }), params)[1]({ b: x });
  // @ts-expect-error leaves are arrays
  tree.map((leaf: string) => leaf.length, params);
  // @ts-expect-error dtypes are names
  x.astype("float31");
  // @ts-expect-error gradients of parameters have no other fields
  void grad(loss)(params, x).bias;
}
