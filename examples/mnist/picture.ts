/** The report of a training run as one SVG: loss, accuracy, and digits that the classifier got wrong. */
import { scaleLinear, scaleLog } from "d3-scale";
import { curveMonotoneX, line } from "d3-shape";

export interface Report {
  /** training loss of each step */
  readonly losses: readonly number[];
  /** test accuracy after each epoch */
  readonly accuracies: readonly number[];
  readonly stepsPerEpoch: number;
  /** test images [n, 28, 28], grey levels */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
  readonly predictions: Int32Array;
}

const ink = "#1f2937";
const faint = "#6b7280";
const rule = "#e5e7eb";
const blue = "#2563eb";
const green = "#059669";
const red = "#dc2626";
const font = `font-family="ui-sans-serif, system-ui, -apple-system, 'Segoe UI', sans-serif"`;

const text = (x: number, y: number, s: string, size: number, fill: string, more = ""): string =>
  `<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" ${more}>${s}</text>`;

/** Mean of each stretch of `width` steps: the curve without its noise. */
function smooth(values: readonly number[], width: number): [number, number][] {
  const out: [number, number][] = [];
  for (let i = 0; i < values.length; i += width) {
    const part = values.slice(i, i + width);
    out.push([i + part.length / 2, part.reduce((a, b) => a + b, 0) / part.length]);
  }
  return out;
}

function lossPanel(
  { losses, stepsPerEpoch }: Report,
  x0: number,
  y0: number,
  w: number,
  h: number,
): string {
  // a logarithmic axis has no place for 0, nor for the NaN of a run that diverged
  const points = smooth(losses, Math.max(1, Math.round(losses.length / 160)))
    .filter(([, loss]) => Number.isFinite(loss))
    .map(([at, loss]): [number, number] => [at, Math.max(loss, 1e-6)]);
  const low = Math.min(...points.map((p) => p[1]));
  const high = Math.max(...points.map((p) => p[1]));
  const x = scaleLinear([0, losses.length], [x0, x0 + w]);
  const y = scaleLog([low * 0.9, high * 1.1], [y0 + h, y0]);
  const ticks = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001].filter(
    (t) => t >= low * 0.9 && t <= high * 1.1,
  );
  const path =
    line<[number, number]>(
      (p) => x(p[0]),
      (p) => y(p[1]),
    ).curve(curveMonotoneX)(points) ?? "";
  const epochs = Math.round(losses.length / stepsPerEpoch);
  return [
    text(x0, y0 - 14, "Training loss", 14, ink, `font-weight="600"`),
    ...ticks.map(
      (t) =>
        `<line x1="${x0}" x2="${x0 + w}" y1="${y(t).toFixed(1)}" y2="${y(t).toFixed(1)}" stroke="${rule}"/>` +
        text(x0 - 8, +(y(t) + 4).toFixed(1), String(t), 11, faint, `text-anchor="end"`),
    ),
    ...Array.from({ length: epochs }, (_, e) =>
      text(
        +x((e + 1) * stepsPerEpoch).toFixed(1),
        y0 + h + 18,
        String(e + 1),
        11,
        faint,
        `text-anchor="middle"`,
      ),
    ),
    text(x0 + w / 2, y0 + h + 36, "epoch", 11, faint, `text-anchor="middle"`),
    `<path d="${path.replace(/(\.\d)\d+/g, "$1")}" fill="none" stroke="${blue}" stroke-width="2"/>`,
  ].join("\n");
}

function accuracyPanel(
  { accuracies }: Report,
  x0: number,
  y0: number,
  w: number,
  h: number,
): string {
  const low = Math.floor(Math.min(...accuracies) * 100 - 0.2) / 100;
  const x = scaleLinear([1, Math.max(2, accuracies.length)], [x0 + 12, x0 + w - 12]);
  const y = scaleLinear([low, 1], [y0 + h, y0]);
  const points = accuracies.map((a, i): [number, number] => [x(i + 1), y(a)]);
  const last = points.at(-1) as [number, number];
  return [
    text(x0, y0 - 14, "Test accuracy", 14, ink, `font-weight="600"`),
    ...y
      .ticks(5)
      .map(
        (t) =>
          `<line x1="${x0}" x2="${x0 + w}" y1="${y(t).toFixed(1)}" y2="${y(t).toFixed(1)}" stroke="${rule}"/>` +
          text(
            x0 - 8,
            +(y(t) + 4).toFixed(1),
            `${+(t * 100).toFixed(1)} %`,
            11,
            faint,
            `text-anchor="end"`,
          ),
      ),
    `<path d="${line()(points) ?? ""}" fill="none" stroke="${green}" stroke-width="2"/>`,
    ...points.map(
      ([px, py], i) =>
        `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3.5" fill="${green}"/>` +
        text(+px.toFixed(1), y0 + h + 18, String(i + 1), 11, faint, `text-anchor="middle"`),
    ),
    text(x0 + w / 2, y0 + h + 36, "epoch", 11, faint, `text-anchor="middle"`),
    text(
      +last[0].toFixed(1),
      // on the side where the line is not
      +(last[1] + ((points.at(-2)?.[1] ?? 0) < last[1] ? 20 : -10)).toFixed(1),
      `${((accuracies.at(-1) as number) * 100).toFixed(2)} %`,
      12,
      green,
      `text-anchor="end" font-weight="600"`,
    ),
  ].join("\n");
}

/** One digit: a path for each of eight grey levels, made of horizontal runs. */
function digit(pixels: Uint8Array, x0: number, y0: number, size: number): string {
  const unit = size / 28;
  const levels = Array.from({ length: 8 }, () => "");
  for (let row = 0; row < 28; row++)
    for (let column = 0; column < 28; ) {
      const level = (pixels[row * 28 + column] as number) >> 5;
      let end = column + 1;
      while (end < 28 && (pixels[row * 28 + end] as number) >> 5 === level) end++;
      if (level > 0) levels[level] += `M${column} ${row}h${end - column}v1h${column - end}z`;
      column = end;
    }
  const paths = levels.flatMap((d, level) =>
    d === "" ? [] : [`<path d="${d}" fill-opacity="${((level + 1) / 8).toFixed(2)}"/>`],
  );
  return `<g transform="translate(${x0} ${y0}) scale(${unit.toFixed(3)})" fill="${ink}" shape-rendering="crispEdges">${paths.join("")}</g>`;
}

function mistakes(
  { images, labels, predictions }: Report,
  x0: number,
  y0: number,
  columns: number,
  rows: number,
): string {
  const wrong = [...predictions].flatMap((p, i) => (p === labels[i] ? [] : [i]));
  const cell = 84;
  const size = 56;
  return [
    text(
      x0,
      y0 - 16,
      `${wrong.length} of ${predictions.length} test digits are wrong`,
      14,
      ink,
      `font-weight="600"`,
    ),
    text(x0 + 300, y0 - 16, "written → read", 12, faint),
    ...wrong.slice(0, columns * rows).map((at, k) => {
      const x = x0 + (k % columns) * cell;
      const y = y0 + Math.floor(k / columns) * (cell + 4);
      return (
        `<rect x="${x}" y="${y}" width="${size + 8}" height="${size + 8}" rx="6" fill="#f9fafb" stroke="${rule}"/>` +
        digit(images.subarray(at * 784, (at + 1) * 784), x + 4, y + 4, size) +
        `<text x="${x + (size + 8) / 2}" y="${y + size + 22}" font-size="12" text-anchor="middle"><tspan fill="${faint}">${labels[at]} → </tspan><tspan fill="${red}" font-weight="600">${predictions[at]}</tspan></text>`
      );
    }),
  ].join("\n");
}

/** The report as SVG text. */
export function drawReport(report: Report): string {
  const columns = 10;
  const rows = 4;
  const width = 920;
  const height = 420 + rows * 88;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${font}>
<title>A classifier of handwritten digits: loss, accuracy and mistakes</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
${lossPanel(report, 64, 56, 400, 240)}
${accuracyPanel(report, 548, 56, 330, 240)}
${mistakes(report, 40, 396, columns, rows)}
</svg>
`;
}
