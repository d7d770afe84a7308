import { thousands } from '../base/text.ts';
import { outlineHeight, outlineLayers, outlineOf, outlineRows } from './outline.ts';
import type { ChartSpec } from './render.ts';
import { palette, titleOver } from './theme.ts';

export type RuleBlocks = {
  readonly rule: string;
  /** Pairs the rule produces by itself. */
  readonly pairs: number;
  /** Those among them that no rule before it produces; absent where they were not counted. */
  readonly newPairs?: number;
  /** Its largest blocks, largest first; `value` is what their records share. */
  readonly largest: readonly { readonly records: number; readonly pairs: number; readonly value?: string }[];
};

const width = 320;

/** Pairs of each blocking rule, in order, with what it adds to the rules before it; below, the blocks that cost most. */
export function blockingCountsChart({
  rules,
  blocks = 12,
  source,
}: {
  readonly rules: readonly RuleBlocks[];
  /** How many of the largest blocks are shown. */
  readonly blocks?: number;
  readonly source: string;
}): ChartSpec {
  const counted = rules.every(({ newPairs }) => newPairs !== undefined);
  let sum = 0;
  const ofRules = rules.map(({ rule, pairs, newPairs = 0 }, i) => {
    sum += newPairs;
    const added = newPairs === pairs ? 'all new' : `${thousands(newPairs)} new`;
    const text = counted ? `${thousands(pairs)} (${added}), ${thousands(sum)} so far` : thousands(pairs);
    return { label: `${i + 1}. ${rule}`, pairs, newPairs: counted ? newPairs : pairs, text };
  });
  const ofBlocks = rules
    .flatMap(({ rule, largest }, i) => largest.map((block) => ({ ...block, rule, number: i + 1 })))
    .sort((a, b) => b.pairs - a.pairs || a.number - b.number)
    .slice(0, blocks)
    .map(({ value, records, pairs, number }) => ({
      label: `rule ${number}: ${value ?? `a block of ${thousands(records)}`}`,
      pairs,
      newPairs: 0,
      text: `${thousands(pairs)} pairs of ${thousands(records)} records`,
    }));
  const outline = outlineOf([
    { name: 'pairs of each rule', entries: ofRules },
    ...(ofBlocks.length > 0 ? [{ name: 'largest blocks', entries: ofBlocks }] : []),
  ]);
  const y = outlineRows(outline);
  const scale = { domain: [0, Math.max(1, ...outline.entries.map(({ pairs }) => pairs))], nice: false };
  const axis = { orient: 'top', grid: true, tickCount: 4, labelExpr: "datum.value === 0 ? '0' : format(datum.value, '~s')" };
  const x = {
    field: 'pairs',
    type: 'quantitative',
    scale,
    axis,
    title: counted ? 'pairs; dark: those that no earlier rule makes' : 'pairs',
  };
  const bar = { type: 'bar', cornerRadiusEnd: 1 };
  return {
    ...titleOver('Pairs that blocking makes', source, outline.gutter + width + 200),
    data: { values: outline.entries },
    width,
    height: outlineHeight,
    layer: [
      { mark: { ...bar, color: palette.blueLight }, encoding: { x, y } },
      { mark: { ...bar, color: palette.blue }, encoding: { x: { ...x, field: 'newPairs' }, y } },
      { mark: { type: 'text', align: 'left', dx: 6, fontSize: 11.5 }, encoding: { x, y, text: { field: 'text' } } },
      ...outlineLayers(outline, width),
    ],
  } as unknown as ChartSpec;
}
