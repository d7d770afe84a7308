// A sum of small decision trees that gives a log-odds.
//
// Idea: each tree asks a few questions of the form "is feature f at most t?" and ends in a number; the numbers of all trees and the
// base score add up to the log-odds of class 1. A missing value (NaN) follows the side its question learned for missing values.
// Layout: all nodes of all trees in flat arrays, each tree in breadth-first order, so that the two children of a node lie side by
// side and a prediction is a walk through four small arrays. Rows are taken in blocks that stay in cache while every tree passes.
// Worked case: one tree "f0 <= 1.5 ? -0.4 : 0.7", base 0.1: f0 = 1 gives -0.3; f0 = 2 gives 0.8.
// Cost: rows x trees x depth comparisons. Training is in trees-train.ts.

/** Trees as flat arrays. Node k of `feature`, `threshold`, ... is one node; `roots` holds the first node of each tree. */
export type Trees = {
  readonly featureCount: number;
  /** Log-odds before any tree: ln(weight of class 1 / weight of class 0) in training. */
  readonly baseScore: number;
  readonly roots: Int32Array;
  /** Feature asked, or -1 at a leaf. */
  readonly feature: Int16Array;
  /** Goes left when value <= threshold. */
  readonly threshold: Float32Array;
  /** 1 where a missing value goes left. */
  readonly missingLeft: Uint8Array;
  /** Left child; the right one is the next. 0 at a leaf. */
  readonly left: Int32Array;
  /** At a leaf what it adds; inside, the mean of the leaves below weighted by training weight (used to explain). */
  readonly value: Float32Array;
};

const blockRows = 128;

/**
 * Log-odds of class 1 for each row, base score included.
 *
 * @param features row-major, rowCount x trees.featureCount, missing = NaN
 */
export function predictTrees(trees: Trees, features: Float32Array, rowCount: number): Float64Array {
  const { roots, feature, threshold, missingLeft, left, value, featureCount } = trees;
  const out = new Float64Array(rowCount).fill(trees.baseScore);
  for (let from = 0; from < rowCount; from += blockRows) {
    const to = Math.min(rowCount, from + blockRows);
    for (let t = 0; t < roots.length; t++) {
      const root = roots[t]!;
      for (let row = from; row < to; row++) {
        const at = row * featureCount;
        let node = root;
        let asked = feature[node]!;
        while (asked >= 0) {
          const x = features[at + asked]!;
          const limit = threshold[node]!;
          // NaN compares false both ways, so the question is put in the form that sends NaN to its side.
          const goesRight = missingLeft[node] === 1 ? x > limit : !(x <= limit);
          node = left[node]! + (goesRight ? 1 : 0);
          asked = feature[node]!;
        }
        out[row]! += value[node]!;
      }
    }
  }
  return out;
}

/**
 * How much each feature moved one row's log-odds. Index `featureCount` holds what no feature moved (the base score and the trees' means),
 * so the parts sum to the prediction. Each step of a path is credited to the feature asked there (Saabas 2014).
 *
 * @param features one row
 */
export function explainTrees(trees: Trees, features: Float32Array): Float64Array {
  const { roots, feature, threshold, missingLeft, left, value, featureCount } = trees;
  const parts = new Float64Array(featureCount + 1);
  parts[featureCount] = trees.baseScore;
  for (const root of roots) {
    parts[featureCount]! += value[root]!;
    let node = root;
    while (feature[node]! >= 0) {
      const asked = feature[node]!;
      const x = features[asked]!;
      const goesRight = missingLeft[node] === 1 ? x > threshold[node]! : !(x <= threshold[node]!);
      const child = left[node]! + (goesRight ? 1 : 0);
      parts[asked]! += value[child]! - value[node]!;
      node = child;
    }
  }
  return parts;
}

/** How often each feature is asked, over all trees. */
export function featureUse(trees: Trees): Int32Array {
  const count = new Int32Array(trees.featureCount);
  for (const asked of trees.feature) if (asked >= 0) count[asked]!++;
  return count;
}

/** The compact JSON form: per tree the features (-1 leaf), thresholds of the questions, sides of missing values, values of all nodes. */
export type SerializedTrees = {
  readonly featureCount: number;
  readonly baseScore: number;
  readonly trees: readonly {
    readonly feature: readonly number[];
    readonly threshold: readonly number[];
    readonly missingLeft: string;
    readonly value: readonly number[];
  }[];
};

/** Trees as a small JSON value; numbers are written with the fewest digits that give the same float32 back. */
export function serializeTrees(trees: Trees): SerializedTrees {
  const list = Array.from(trees.roots, (root, t) => {
    const end = trees.roots[t + 1] ?? trees.feature.length;
    const nodes = Array.from({ length: end - root }, (_, i) => root + i);
    const questions = nodes.filter((node) => trees.feature[node]! >= 0);
    return {
      feature: nodes.map((node) => trees.feature[node]!),
      threshold: questions.map((node) => shortest(trees.threshold[node]!)),
      missingLeft: questions.map((node) => trees.missingLeft[node]!).join(''),
      value: nodes.map((node) => shortest(trees.value[node]!)),
    };
  });
  return { featureCount: trees.featureCount, baseScore: trees.baseScore, trees: list };
}

/**
 * The trees that `serializeTrees` wrote.
 *
 * @throws Error when the parts do not fit together
 */
export function parseTrees(json: SerializedTrees): Trees {
  const count = json.trees.reduce((sum, tree) => sum + tree.feature.length, 0);
  const trees: Trees = {
    featureCount: json.featureCount,
    baseScore: json.baseScore,
    roots: new Int32Array(json.trees.length),
    feature: new Int16Array(count),
    threshold: new Float32Array(count),
    missingLeft: new Uint8Array(count),
    left: new Int32Array(count),
    value: new Float32Array(count),
  };
  let root = 0;
  json.trees.forEach((tree, t) => {
    const size = tree.feature.length;
    if (tree.value.length !== size || size !== 2 * tree.threshold.length + 1 || tree.missingLeft.length !== tree.threshold.length) {
      throw new Error(`trees: parts differ in length: tree ${t}; the model file is damaged`);
    }
    trees.roots[t] = root;
    let question = 0;
    for (let i = 0; i < size; i++) {
      const asked = tree.feature[i]!;
      if (asked >= json.featureCount) throw new Error(`trees: feature out of range: ${asked}; the model file is damaged`);
      trees.feature[root + i] = asked;
      trees.value[root + i] = tree.value[i]!;
      if (asked < 0) continue;
      // Breadth-first: the k-th question's children are nodes 2k + 1 and 2k + 2 of its tree.
      trees.left[root + i] = root + 2 * question + 1;
      trees.threshold[root + i] = tree.threshold[question]!;
      trees.missingLeft[root + i] = tree.missingLeft.charCodeAt(question) - 48;
      question++;
    }
    root += size;
  });
  return trees;
}

/** The number with the fewest decimal digits whose nearest float32 is this one. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
