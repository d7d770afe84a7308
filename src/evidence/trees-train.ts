// Training of boosted trees for a binary outcome.
//
// Idea: add trees one by one, each fitted to the slope g = w (p - y) and curvature h = w p (1 - p) of the log-loss at the present
// log-odds. A node with sums G, H is worth G^2 / (H + lambda); a split is as good as what its two sides are worth more than the node; a
// leaf answers -rate G / (H + lambda). Sums are gathered per bin (trees-bins.ts), and of two siblings only the smaller is gathered:
// the other is the parent minus it. Missing values are tried on both sides of every split, and all present against missing too.
// Worked case: y = 0, 1 at p = 0.5: g = 0.5, -0.5, h = 0.25 each; with lambda 0 the split is worth 1 + 1 - 0 and the leaves are -+2 rate.
// Cost: rounds x (rows x features x depth / 2 + nodes x bins x features). Deterministic: one thread, fixed order, seeded draws.
// Sources: Friedman 2001; Chen and Guestrin 2016 (XGBoost), sections 2.2 and 3.4; Ke et al. 2017 (LightGBM), section 2.1.

import { random } from '../base/random.ts';
import { sigmoid } from '../base/statistics.ts';
import type { Trees } from './trees.ts';
import { type Bins, binFeatures, missingBin } from './trees-bins.ts';

export type TreeTraining = {
  /** Row-major, rowCount x featureCount; missing = NaN. */
  readonly features: Float32Array;
  readonly rowCount: number;
  readonly featureCount: number;
  /** 0 or 1 per row. */
  readonly labels: Uint8Array;
  readonly weights?: Float32Array;
  readonly rounds?: number;
  readonly depth?: number;
  readonly learningRate?: number;
  /** Least sum of h on each side of a split. */
  readonly minChildWeight?: number;
  /** L2 penalty on leaf values. */
  readonly lambda?: number;
  /** Least gain of a split. */
  readonly minGain?: number;
  /** Share of rows each tree sees. */
  readonly subsample?: number;
  /** Share of features each tree may ask. */
  readonly columnShare?: number;
  readonly seed?: number;
  /** 1 for rows that are only watched; with `patience`, training ends when their loss has not fallen for so many rounds. */
  readonly heldOut?: Uint8Array;
  readonly patience?: number;
  /** Told after each round; the losses are mean log-losses (held-out is NaN when nothing is held out). */
  readonly onRound?: (round: number, heldOutLoss: number) => void;
};

type Node = {
  readonly begin: number;
  readonly end: number;
  readonly sumG: number;
  readonly sumH: number;
  histogram?: Float64Array;
  split?: Split;
  left?: number;
  value: number;
};
type Split = { feature: number; bin: number; missingLeft: boolean; gain: number; leftG: number; leftH: number };
type Growth = {
  readonly binned: Bins;
  readonly offsets: Int32Array;
  readonly columns: Int32Array;
  readonly rows: Int32Array;
  readonly g: Float64Array;
  readonly h: Float64Array;
  readonly depth: number;
  readonly learningRate: number;
  readonly lambda: number;
  readonly minChildWeight: number;
  readonly minGain: number;
  readonly pool: Float64Array[];
  readonly scratch: { readonly rows: Int32Array; readonly g: Float64Array; readonly h: Float64Array };
};

/**
 * Fits boosted trees; `predictTrees` then gives log-odds of class 1.
 *
 * @throws Error when only one class is present
 */
export function trainTrees(options: TreeTraining): Trees {
  const { features, rowCount, featureCount, labels, weights, heldOut, patience = 0, onRound } = options;
  const { rounds = 300, learningRate = 0.1, subsample = 1, columnShare = 1, seed = 1 } = options;
  const learns = (row: number) => heldOut === undefined || heldOut[row] === 0;
  const binned = binFeatures({ features, rowCount, featureCount, learns });
  const learners = Int32Array.from({ length: rowCount }, (_, row) => row).filter(learns);
  const watched = Int32Array.from({ length: rowCount }, (_, row) => row).filter((row) => !learns(row));
  const baseScore = baseLogOdds(learners, labels, weights);
  const margins = new Float64Array(rowCount).fill(baseScore);
  const g = new Float64Array(rowCount);
  const h = new Float64Array(rowCount);
  const shared = {
    binned,
    offsets: histogramOffsets(binned),
    g,
    h,
    learningRate,
    depth: options.depth ?? 6,
    lambda: options.lambda ?? 1,
    minChildWeight: options.minChildWeight ?? 1,
    minGain: options.minGain ?? 1e-9,
    pool: [],
    scratch: { rows: new Int32Array(rowCount), g: new Float64Array(rowCount), h: new Float64Array(rowCount) },
  };
  const grown: Node[][] = [];
  let bestLoss = Number.POSITIVE_INFINITY;
  let bestRound = 0;
  for (let round = 0; round < rounds; round++) {
    slopes(margins, labels, weights, g, h);
    const draw = random(seed, 'tree', round);
    const rows = subsample < 1 ? learners.filter(() => draw.float() < subsample) : learners.slice();
    const columns = drawColumns(featureCount, columnShare, draw.shuffle);
    const nodes = growTree({ ...shared, rows, columns });
    grown.push(nodes);
    addTree(nodes, binned, margins);
    const loss = meanLoss(watched, margins, labels, weights);
    onRound?.(round, loss);
    if (loss < bestLoss) [bestLoss, bestRound] = [loss, round];
    if (patience > 0 && round - bestRound >= patience) break;
  }
  const kept = patience > 0 ? grown.slice(0, bestRound + 1) : grown;
  return flatten(kept, binned, baseScore);
}

function baseLogOdds(rows: Int32Array, labels: Uint8Array, weights: Float32Array | undefined): number {
  const sums = [0, 0];
  for (const row of rows) sums[labels[row]!]! += weights?.[row] ?? 1;
  if (!(sums[0]! > 0 && sums[1]! > 0)) throw new Error('trees: only one class among the training rows');
  return Math.log(sums[1]! / sums[0]!);
}

function slopes(margins: Float64Array, labels: Uint8Array, weights: Float32Array | undefined, g: Float64Array, h: Float64Array): void {
  for (let row = 0; row < margins.length; row++) {
    const p = sigmoid(margins[row]!);
    const weight = weights?.[row] ?? 1;
    g[row] = weight * (p - labels[row]!);
    h[row] = weight * Math.max(1e-16, p * (1 - p));
  }
}

function meanLoss(rows: Int32Array, margins: Float64Array, labels: Uint8Array, weights: Float32Array | undefined): number {
  let loss = 0;
  let total = 0;
  for (const row of rows) {
    const z = labels[row] === 1 ? -margins[row]! : margins[row]!;
    const weight = weights?.[row] ?? 1;
    loss += weight * (z > 0 ? z + Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z)));
    total += weight;
  }
  return loss / total;
}

function drawColumns(count: number, share: number, shuffle: <T>(items: readonly T[]) => T[]): Int32Array {
  const all = Array.from({ length: count }, (_, f) => f);
  if (share >= 1) return Int32Array.from(all);
  return Int32Array.from(shuffle(all).slice(0, Math.max(1, Math.round(share * count)))).sort();
}

/** Where each feature's (g, h) pairs begin: one pair per bin, then one for missing values. */
function histogramOffsets({ cuts }: Bins): Int32Array {
  const offsets = new Int32Array(cuts.length + 1);
  for (let f = 0; f < cuts.length; f++) offsets[f + 1] = offsets[f]! + 2 * (cuts[f]!.length + 2);
  return offsets;
}

/** One tree, level by level; nodes in breadth-first order. */
function growTree(growth: Growth): Node[] {
  const { rows, g, h } = growth;
  let sumG = 0;
  let sumH = 0;
  for (const row of rows) {
    sumG += g[row]!;
    sumH += h[row]!;
  }
  const nodes: Node[] = [leafOf(growth, { begin: 0, end: rows.length, sumG, sumH })];
  let level: Node[] = growth.depth > 0 ? [nodes[0]!] : [];
  if (level.length > 0) nodes[0]!.histogram = gather(growth, nodes[0]!);
  for (let depth = 0; depth < growth.depth; depth++) {
    const next: Node[] = [];
    for (const node of level) {
      const split = bestSplit(growth, node);
      if (split === undefined) {
        release(growth, node);
        continue;
      }
      node.split = split;
      node.left = nodes.length;
      const middle = partition(growth, node, split);
      const left = leafOf(growth, { begin: node.begin, end: middle, sumG: split.leftG, sumH: split.leftH });
      const right = leafOf(growth, { begin: middle, end: node.end, sumG: node.sumG - split.leftG, sumH: node.sumH - split.leftH });
      if (depth + 1 < growth.depth) shareHistogram(growth, node, left, right);
      else release(growth, node);
      nodes.push(left, right);
      next.push(left, right);
    }
    level = next;
  }
  for (const node of level) release(growth, node);
  for (let k = nodes.length - 1; k >= 0; k--) meanOfLeaves(nodes, nodes[k]!);
  return nodes;
}

function leafOf({ lambda, learningRate }: Growth, node: { begin: number; end: number; sumG: number; sumH: number }): Node {
  return { ...node, value: Math.fround((-learningRate * node.sumG) / (node.sumH + lambda)) };
}

function meanOfLeaves(nodes: readonly Node[], node: Node): void {
  if (node.left === undefined) return;
  const left = nodes[node.left]!;
  const right = nodes[node.left + 1]!;
  node.value = Math.fround((left.value * left.sumH + right.value * right.sumH) / (left.sumH + right.sumH));
}

function release(growth: Growth, node: Node): void {
  if (node.histogram) growth.pool.push(node.histogram);
  delete node.histogram;
}

/** Gathers the smaller child; the larger gets the parent's sums minus those. */
function shareHistogram(growth: Growth, parent: Node, left: Node, right: Node): void {
  const [small, large] = left.end - left.begin <= right.end - right.begin ? [left, right] : [right, left];
  const gathered = gather(growth, small);
  const rest = parent.histogram!;
  for (let i = 0; i < rest.length; i++) rest[i]! -= gathered[i]!;
  small.histogram = gathered;
  large.histogram = rest;
  delete parent.histogram;
}

/** Sums of g and h per bin, for the features this tree may ask. */
function gather(growth: Growth, { begin, end }: Node): Float64Array {
  const { binned, offsets, columns, rows, scratch } = growth;
  const histogram = growth.pool.pop() ?? new Float64Array(offsets[offsets.length - 1]!);
  histogram.fill(0);
  const count = end - begin;
  const chosen = scratch.rows;
  const gs = scratch.g;
  const hs = scratch.h;
  for (let i = 0; i < count; i++) {
    const row = rows[begin + i]!;
    chosen[i] = row;
    gs[i] = growth.g[row]!;
    hs[i] = growth.h[row]!;
  }
  for (const f of columns) {
    const column = binned.bins.subarray(f * binned.rowCount, (f + 1) * binned.rowCount);
    const at = offsets[f]!;
    const missingAt = offsets[f + 1]! - 2;
    gatherColumn(histogram, column, at, missingAt, { chosen, gs, hs, count });
  }
  return histogram;
}

type Gathered = { readonly chosen: Int32Array; readonly gs: Float64Array; readonly hs: Float64Array; readonly count: number };

function gatherColumn(histogram: Float64Array, column: Uint8Array, at: number, missingAt: number, gathered: Gathered): void {
  const { chosen, gs, hs, count } = gathered;
  for (let i = 0; i < count; i++) {
    const bin = column[chosen[i]!]!;
    const slot = bin === missingBin ? missingAt : at + 2 * bin;
    histogram[slot]! += gs[i]!;
    histogram[slot + 1]! += hs[i]!;
  }
}

/** The split worth most, by lowest feature and bin among equals; none when nothing gains. */
function bestSplit(growth: Growth, node: Node): Split | undefined {
  const { columns, offsets, lambda, minChildWeight } = growth;
  const histogram = node.histogram!;
  const { sumG, sumH } = node;
  const own = (sumG * sumG) / (sumH + lambda);
  const best: Split = { feature: -1, bin: -1, missingLeft: false, gain: growth.minGain, leftG: 0, leftH: 0 };
  for (const f of columns) {
    const at = offsets[f]!;
    const last = offsets[f + 1]! - 2;
    const missingG = histogram[last]!;
    const missingH = histogram[last + 1]!;
    // Sums got by subtraction are never exactly 0; less curvature than this is no row.
    const hasMissing = missingH > 1e-9;
    let leftG = 0;
    let leftH = 0;
    for (let slot = at; slot < last; slot += 2) {
      leftG += histogram[slot]!;
      leftH += histogram[slot + 1]!;
      if (slot + 2 === last && !hasMissing) break;
      const bin = (slot - at) >> 1;
      tryLeft(best, f, bin, false, leftG, leftH);
      if (hasMissing && slot + 2 < last) tryLeft(best, f, bin, true, leftG + missingG, leftH + missingH);
    }
    if (best.feature === f && !hasMissing) best.missingLeft = best.leftH >= sumH - best.leftH;
  }
  return best.feature < 0 ? undefined : best;

  function tryLeft(held: Split, feature: number, bin: number, missingLeft: boolean, g: number, h: number): void {
    const restH = sumH - h;
    if (h < minChildWeight || restH < minChildWeight) return;
    const restG = sumG - g;
    const gain = (g * g) / (h + lambda) + (restG * restG) / (restH + lambda) - own;
    if (gain <= held.gain) return;
    held.feature = feature;
    held.bin = bin;
    held.missingLeft = missingLeft;
    held.gain = gain;
    held.leftG = g;
    held.leftH = h;
  }
}

/** Puts the rows that go left first, order kept on both sides; returns where the right side begins. */
function partition(growth: Growth, { begin, end }: Node, split: Split): number {
  const { binned, rows, scratch } = growth;
  const base = split.feature * binned.rowCount;
  let middle = begin;
  let right = 0;
  for (let i = begin; i < end; i++) {
    const row = rows[i]!;
    const bin = binned.bins[base + row]!;
    if (bin === missingBin ? split.missingLeft : bin <= split.bin) rows[middle++] = row;
    else scratch.rows[right++] = row;
  }
  rows.set(scratch.rows.subarray(0, right), middle);
  return middle;
}

function addTree(nodes: readonly Node[], binned: Bins, margins: Float64Array): void {
  const feature = Int32Array.from(nodes, (node) => node.split?.feature ?? -1);
  const bin = Int32Array.from(nodes, (node) => node.split?.bin ?? 0);
  const missing = Uint8Array.from(nodes, (node) => (node.split?.missingLeft ? 1 : 0));
  const left = Int32Array.from(nodes, (node) => node.left ?? 0);
  const value = Float64Array.from(nodes, (node) => node.value);
  for (let row = 0; row < margins.length; row++) {
    let node = 0;
    while (feature[node]! >= 0) {
      const x = binned.bins[feature[node]! * binned.rowCount + row]!;
      const goesLeft = x === missingBin ? missing[node] === 1 : x <= bin[node]!;
      node = left[node]! + (goesLeft ? 0 : 1);
    }
    margins[row]! += value[node]!;
  }
}

function flatten(grown: readonly Node[][], binned: Bins, baseScore: number): Trees {
  const count = grown.reduce((sum, nodes) => sum + nodes.length, 0);
  const trees: Trees = {
    featureCount: binned.featureCount,
    baseScore,
    roots: new Int32Array(grown.length),
    feature: new Int16Array(count).fill(-1),
    threshold: new Float32Array(count),
    missingLeft: new Uint8Array(count),
    left: new Int32Array(count),
    value: new Float32Array(count),
  };
  let root = 0;
  grown.forEach((nodes, t) => {
    trees.roots[t] = root;
    nodes.forEach((node, i) => {
      trees.value[root + i] = node.value;
      if (node.split === undefined) return;
      trees.feature[root + i] = node.split.feature;
      // A split after the last cut parts the present values from the missing ones.
      trees.threshold[root + i] = binned.cuts[node.split.feature]![node.split.bin] ?? 3.4028234663852886e38;
      trees.missingLeft[root + i] = node.split.missingLeft ? 1 : 0;
      trees.left[root + i] = root + node.left!;
    });
    root += nodes.length;
  });
  return trees;
}
