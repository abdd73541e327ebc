// The same small training run everywhere: Node, Deno, a browser. Prints `ok <loss>`.
import { grad, jit, np, random, vmap } from "cotangent";
import * as nn from "cotangent/nn";
import { adam, applyUpdates } from "cotangent/optim";

/** A spiral of two arms: points [n, 2], labels [n]. */
function spirals(n) {
  const t = np.linspace(0.1, 1, n / 2);
  const arm = (phase) => {
    const angle = t.mul(3 * Math.PI).add(phase);
    return np.stack([np.cos(angle).mul(t), np.sin(angle).mul(t)], 1);
  };
  const labels = np.array(Int32Array.from({ length: n }, (_, i) => (i < n / 2 ? 0 : 1)));
  return [np.concatenate([arm(0), arm(Math.PI)]), labels];
}

export function train(steps = 300) {
  const [x, y] = spirals(200);
  const init = nn.mlpInit([2, 32, 32, 2]);
  let params = nn.initialize(init, random.key(0));
  const one = (p, point, label) =>
    nn.softmaxCrossEntropyWithIntegerLabels(nn.mlp(p, point, np.tanh), label);
  const loss = (p) => vmap(one, [null, 0, 0])(p, x, y).mean();
  const optimizer = adam(1e-2);
  let state = optimizer.init(params);
  const step = jit((p, s) => {
    const [updates, next] = optimizer.update(grad(loss)(p), s, p);
    return [applyUpdates(p, updates), next];
  });
  for (let i = 0; i < steps; i++) [params, state] = step(params, state);
  return loss(params).item();
}

const loss = train();
if (!(loss < 0.2)) throw new Error(`the model did not learn: loss ${loss}`);
// what is loaded when it is asked for
const wat = await jit((x) => x.mul(2))
  .lower(np.zeros([2]))
  .wat();
if (!wat?.startsWith("(module")) throw new Error(`the module has no text: ${wat}`);
const line = `ok ${loss.toFixed(6)}`;
console.log(line);
if (typeof document !== "undefined") document.title = line;
