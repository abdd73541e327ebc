/** `npm run mnist`: handwritten digits, from the raw files to a trained classifier.
 *  Writes out/mnist.svg (curves and mistakes) and out/mnist.safetensors (parameters). */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { SingleBar } from "cli-progress";
import { jit, type NDArray, np, random, valueAndGrad } from "../../index.ts";
import * as nn from "../../nn/index.ts";
import { adam, applyUpdates } from "../../optim/index.ts";
import { loadDigits } from "./data.ts";
import { drawReport } from "./picture.ts";

const sizes = [784, 256, 128, 10] as const;
const batch = 128;
const epochs = 8;
const topRate = 2e-3;

const began = performance.now();
const seconds = (): string => ((performance.now() - began) / 1000).toFixed(1);
const { train, test } = loadDigits();
console.log(
  `${train.count} training and ${test.count} test images of 28×28, read in ${seconds()} s`,
);
const stepsPerEpoch = Math.floor(train.count / batch);

type Params = readonly nn.Dense[];

/** Adam whose rate falls linearly to zero over the whole run */
const optimizer = adam((count) => np.subtract(1, count.div(epochs * stepsPerEpoch)).mul(topRate));

/** mean cross-entropy of a batch: images [n, 784] in [0, 1], labels int32 [n] */
const loss = (params: Params, images: NDArray, labels: NDArray): NDArray =>
  nn.softmaxCrossEntropyWithIntegerLabels(nn.mlp(params, images), labels).mean();

/** one step of Adam; the old parameters and optimizer state give their memory to the new ones */
const step = jit(
  (params: Params, state: unknown, images: NDArray, labels: NDArray) => {
    const [value, gradient] = valueAndGrad(loss)(params, images, labels);
    const [updates, next] = optimizer.update(gradient, state, params);
    return [value, applyUpdates(params, updates), next] as const;
  },
  { donateArgnums: [0, 1], name: "step" },
);
const predict = jit((params: Params, images: NDArray) => np.argmax(nn.mlp(params, images), -1), {
  name: "predict",
});

/** Rows `order[from … from + batch)` of the training set, each image moved by up to one pixel: a model should not mind. */
function minibatch(order: Int32Array, shifts: Int32Array, from: number): [NDArray, NDArray] {
  const images = new Float32Array(batch * 784);
  const labels = new Int32Array(batch);
  for (let i = 0; i < batch; i++) {
    const at = order[from + i] as number;
    const [down, right] = [shifts[2 * (from + i)] as number, shifts[2 * (from + i) + 1] as number];
    const [top, left] = [Math.max(0, down), Math.max(0, right)];
    for (let y = top; y < 28 + Math.min(0, down); y++)
      for (let x = left; x < 28 + Math.min(0, right); x++)
        images[i * 784 + y * 28 + x] =
          (train.images[at * 784 + (y - down) * 28 + x - right] as number) / 255;
    labels[i] = train.labels[at] as number;
  }
  return [np.array(images, { shape: [batch, 784] }), np.array(labels)];
}

const testImages = np
  .array(test.images, { shape: [test.count, 784] })
  .astype("float32")
  .div(255);
const testLabels = Int32Array.from(test.labels);
function evaluate(params: Params): { accuracy: number; predictions: Int32Array } {
  const predictions = predict(params, testImages).dataSync() as Int32Array;
  const right = predictions.reduce((n, p, i) => n + (p === testLabels[i] ? 1 : 0), 0);
  return { accuracy: right / test.count, predictions };
}

const [initKey, shuffleKey, shiftKey] = [...random.split(random.key(0), 3)] as [
  NDArray,
  NDArray,
  NDArray,
];
let params: Params = nn.initialize(nn.mlpInit(sizes), initKey);
let state = optimizer.init(params);
const losses: number[] = [];
/** seconds from the start of the process to the end of the first step: import, data, trace, compile, run */
let firstStep = "";
const accuracies: number[] = [];

for (let epoch = 0; epoch < epochs; epoch++) {
  const order = random
    .permutation(random.foldIn(shuffleKey, epoch), train.count)
    .dataSync() as Int32Array;
  const shifts = random
    .randint(random.foldIn(shiftKey, epoch), [train.count, 2], -1, 2)
    .dataSync() as Int32Array;
  const bar = new SingleBar({
    format: `epoch ${epoch + 1}/${epochs} [{bar}] {value}/{total} · loss {loss}`,
    clearOnComplete: true,
  });
  bar.start(stepsPerEpoch, 0, { loss: "…" });
  let sum = 0;
  for (let i = 0; i < stepsPerEpoch; i++) {
    const [images, labels] = minibatch(order, shifts, i * batch);
    const [value, nextParams, nextState] = step(params, state, images, labels);
    params = nextParams;
    state = nextState;
    const now = value.item() as number;
    if (losses.length === 0) firstStep = (performance.now() / 1000).toFixed(2);
    losses.push(now);
    sum += now;
    if (i % 20 === 0) bar.update(i, { loss: now.toFixed(4) });
  }
  bar.stop();
  const { accuracy } = evaluate(params);
  accuracies.push(accuracy);
  console.log(
    `epoch ${epoch + 1}/${epochs} · loss ${(sum / stepsPerEpoch).toFixed(4)} · test accuracy ${accuracy.toFixed(4)} · ${seconds()} s`,
  );
}

const final = evaluate(params);
mkdirSync("out", { recursive: true });
writeFileSync(
  "out/mnist.svg",
  drawReport({
    losses,
    accuracies,
    stepsPerEpoch,
    images: test.images,
    labels: test.labels,
    predictions: final.predictions,
  }),
);
writeFileSync("out/mnist.safetensors", nn.saveParams(params));
const restored = nn.loadParams(params, readFileSync("out/mnist.safetensors"));
const again = evaluate(restored);
if (again.accuracy !== final.accuracy)
  throw new Error(`the saved parameters give accuracy ${again.accuracy}, not ${final.accuracy}`);
console.log(
  `wrote out/mnist.svg and out/mnist.safetensors; read back, the parameters give the same accuracy`,
);
console.log(`first step done ${firstStep} s after the process started, ${seconds()} s in all`);
console.log(`test accuracy ${final.accuracy.toFixed(4)}`);
