import { outlineHeight, outlineLayers, outlineOf, outlineRows } from './outline.ts';
import type { ChartSpec } from './render.ts';
import { palette, titleOver } from './theme.ts';
import { clipWeight, signedWeight, weightTicks, weightTitle } from './weight.ts';

/** One level of a comparison: m of pairs that match, u of pairs that do not, each absent when never estimated. */
export type ChartLevel = { readonly label: string; readonly m?: number; readonly u?: number; readonly isNull?: boolean };

export type ChartComparison = { readonly name: string; readonly levels: readonly ChartLevel[] };

const width = 420;

/** What each level of each comparison says for or against a match, with the prior on top. Missing values say nothing and are left out. */
export function matchWeightsChart({
  prior,
  comparisons,
  source,
}: {
  readonly prior: number;
  readonly comparisons: readonly ChartComparison[];
  /** Where the model is from, in words. */
  readonly source: string;
}): ChartSpec {
  const outline = outlineOf([
    { entries: [{ label: 'prior: two records taken at random', ...bar(Math.log2(prior / (1 - prior)), palette.muted) }] },
    ...comparisons.map(({ name, levels }) => ({
      name,
      entries: levels.filter(({ isNull }) => !isNull).map((level) => ({ label: level.label, ...barOf(level) })),
    })),
  ]);
  const ends = outline.entries.map(({ end }) => end);
  const [low, high] = [Math.min(-1, ...ends), Math.max(1, ...ends)];
  const room = (high - low) * 0.2;
  const scale = { domain: [low - room, high + room], nice: false };
  const x = {
    field: 'end',
    type: 'quantitative',
    scale,
    title: weightTitle,
    axis: { orient: 'top', grid: true, values: weightTicks(low, high) },
  };
  const y = outlineRows(outline);
  const label = (side: 'left' | 'right') => ({
    transform: [{ filter: side === 'left' ? 'datum.end < 0' : 'datum.end >= 0' }],
    mark: { type: 'text', align: side === 'left' ? 'right' : 'left', dx: side === 'left' ? -6 : 6, fontSize: 11.5 },
    encoding: { x, y, text: { field: 'text' }, color: { field: 'colour', scale: null } },
  });
  return {
    ...titleOver('What each comparison level says about a match', source, outline.gutter + width),
    data: { values: outline.entries },
    width,
    height: outlineHeight,
    layer: [
      { mark: { type: 'bar', cornerRadiusEnd: 1 }, encoding: { x, x2: { datum: 0 }, y, color: { field: 'colour', scale: null } } },
      { data: { values: [{ end: 0 }] }, mark: { type: 'rule', color: palette.muted }, encoding: { x } },
      label('left'),
      label('right'),
      ...outlineLayers(outline, width),
    ],
  } as unknown as ChartSpec;
}

function barOf({ m, u }: ChartLevel) {
  if (m === undefined || u === undefined) return { end: 0, colour: palette.muted, text: 'not trained' };
  const weight = Math.log2(m / u);
  return bar(weight, weight < 0 ? palette.orange : palette.blue);
}

function bar(weight: number, colour: string) {
  return { end: clipWeight(weight), colour, text: signedWeight(weight) };
}
