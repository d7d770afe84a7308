import { thousands } from '../../../base/text.ts';
import { barsChart } from '../../../charts/bars.ts';
import { type NetworkLink, networkChart } from '../../../charts/network.ts';
import { precisionRecallChart } from '../../../charts/precision-recall.ts';
import { reliabilityChart } from '../../../charts/reliability.ts';
import type { ChartSpec } from '../../../charts/render.ts';
import { splitBarsChart } from '../../../charts/split-bars.ts';
import { type WaterfallStep, waterfallChart } from '../../../charts/waterfall.ts';
import type { CaseLink, CaseStudy, PairStory, ReportData } from './data.ts';
import { publishedRows } from './published.ts';

export const figureNames = [
  'split-patients',
  'precision-recall',
  'split-by-errors',
  'split-by-facilities',
  'calibration',
  'case-network',
  'case-waterfall',
  'cluster-sizes',
] as const;
export type FigureName = (typeof figureNames)[number];

/** Every figure this data allows, as specs; nothing is drawn yet. */
export function reportFigures(data: ReportData): Partial<Record<FigureName, ChartSpec>> {
  const { truth, caseStudy } = data;
  return {
    ...(truth && {
      'split-patients': splitPatients(truth),
      'precision-recall': precisionRecall(truth),
      'split-by-errors': splitBars(truth, 'errors', 'errors in all of a patient’s records together', 470),
      'split-by-facilities': splitBars(truth, 'facilities', 'facilities the patient was seen at', 280),
      calibration: reliabilityChart(truth.calibration.bins),
    }),
    ...(caseStudy && { 'case-network': caseNetwork(caseStudy) }),
    ...(caseStudy?.story && {
      'case-waterfall': waterfallChart({
        steps: pairSteps(caseStudy.story),
        unit: 'weight of evidence: each +1 doubles the odds of one patient',
      }),
    }),
    'cluster-sizes': clusterSizes(data),
  };
}

type Truth = NonNullable<ReportData['truth']>;

const seriesNames = { demographics: 'demographics alone', fused: 'with clinical evidence' };

function splitPatients({ results, patients, splitPatients: ours }: Truth): ChartSpec {
  const published = publishedRows.filter((row) => row.method !== 'Splink, P > 0.99');
  const alone = results.find(
    (row) => row.origin === 'this run' && row.method.startsWith('Splink’s rules') && row.method.includes('hindsight'),
  );
  const text = (split: number, of: number) => `${thousands(split)} of ${thousands(of)}`;
  return barsChart({
    width: 400,
    bars: [
      ...published.map((row) => ({
        label: `published: ${row.method}`,
        value: row.splitPatients!,
        text: text(row.splitPatients!, row.patients!),
        highlight: false,
      })),
      ...(alone?.splitPatients === undefined
        ? []
        : [
            {
              label: 'this run: Splink’s rules, demographics alone',
              value: alone.splitPatients,
              text: text(alone.splitPatients, patients),
              highlight: false,
            },
          ]),
      { label: 'this run: with clinical evidence', value: ours, text: text(ours, patients) },
    ],
  });
}

function precisionRecall({ curves, chosenPairs, chosenClusters }: Truth): ChartSpec {
  const styles = { em: 'base', demographics: 'middle', fused: 'ours' } as const;
  const [, hindsight, model] = publishedRows;
  return precisionRecallChart({
    curves: curves.map((curve) => ({ name: curve.name, points: curve.points, style: styles[curve.kind] })),
    marks: [
      { label: 'published:\nSplink', recall: hindsight!.recall, precision: hindsight!.precision, style: 'published' },
      { label: 'published:\n4B language model', recall: model!.recall, precision: model!.precision, style: 'published' },
      { label: 'pairs at one half', ...chosenPairs, style: 'ours', side: 'below-left' },
      { label: 'after clustering', ...chosenClusters, style: 'ours', side: 'above-left' },
    ],
  });
}

function splitBars({ split }: Truth, by: 'errors' | 'facilities', xTitle: string, width: number): ChartSpec {
  const series = (['demographics', 'fused'] as const).map((method) => ({ name: seriesNames[method], rows: split[method][by] }));
  return splitBarsChart({ series, xTitle, width });
}

function caseNetwork({ facilities, piecesBefore, links }: CaseStudy): ChartSpec {
  const panel = (title: string, groups: readonly number[], weight: (link: CaseLink) => number | undefined) => ({
    title,
    nodes: groups.map((group, i) => ({ id: String(i), label: facilityNumber(facilities[i]!), group })),
    links: links.map((link) => ({ from: String(link.left), to: String(link.right), kind: linkKind(groups, link, weight(link)) })),
  });
  const pieces = new Set(piecesBefore).size;
  return networkChart([
    panel(`Demographics alone: ${pieces} pieces`, piecesBefore, (link) => link.demographic),
    panel(
      'With clinical evidence: one patient',
      piecesBefore.map(() => 0),
      (link) => link.total,
    ),
  ]);
}

/** A link that speaks for one patient may still lie between two pieces, when the other pairs outweigh it. */
function linkKind(groups: readonly number[], { left, right }: CaseLink, logOdds: number | undefined): NetworkLink['kind'] {
  if (logOdds === undefined) return 'unseen';
  return logOdds > 0 && groups[left] === groups[right] ? 'accepted' : 'rejected';
}

/** `facility_003` -> `3`. */
export function facilityNumber(facility: string): string {
  return facility.replace(/^facility_0*/, '');
}

/** Themes of the evidence as the page names them; others go by their own name. */
const themeLabels: Readonly<Record<string, string>> = {
  zip: 'ZIP',
  completeness: 'fields filled in',
  body: 'height and weight',
  vitals: 'blood pressure',
  laboratory: 'laboratory values',
  age: 'age the histories tell',
  timing: 'when the visits were',
  size: 'number of visits',
  vaccines: 'vaccinations',
  conditions: 'diagnoses',
  codes: 'procedures and drugs',
  likelihood: 'all entries together',
};

const mostSteps = { demographic: 8, clinical: 7 };
const wholeNames = { demographic: 'demographics', clinical: 'clinical history' };

/** A pair's story as steps in doublings of the odds: the weightiest themes by name, the others in one step. */
export function pairSteps({ facts, prior, demographic, clinical }: PairStory): WaterfallStep[] {
  const bits = (nats: number) => nats / Math.LN2;
  const side = (name: 'demographic' | 'clinical', whole: number): WaterfallStep[] => {
    const themes = new Map<string, number>();
    for (const fact of facts) if (fact.side === name) themes.set(fact.theme, (themes.get(fact.theme) ?? 0) + fact.weight);
    const ranked = [...themes].sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
    const shown = ranked.slice(0, mostSteps[name]).filter(([, weight]) => Math.abs(weight) >= 0.05);
    const rest = whole - shown.reduce((sum, [, weight]) => sum + weight, 0);
    const other =
      Math.abs(rest) < 0.05
        ? []
        : [{ label: shown.length > 0 ? 'all the rest' : wholeNames[name], value: bits(rest), kind: 'step' as const }];
    return [
      ...shown.map(([theme, weight]) => ({ label: themeLabels[theme] ?? theme, value: bits(weight), kind: 'step' as const })),
      ...other,
    ];
  };
  return [
    ...(facts.length > 0 ? [{ label: 'before any evidence', value: bits(prior), kind: 'start' as const }] : []),
    ...side('demographic', demographic - prior),
    { label: 'DEMOGRAPHICS', value: 0, kind: 'total' as const },
    ...side('clinical', clinical),
    { label: 'ALL EVIDENCE', value: 0, kind: 'total' as const },
  ];
}

function clusterSizes({ clusterSizes: sizes, goldenRecords }: ReportData): ChartSpec {
  return barsChart({
    width: 360,
    bars: sizes
      .filter((row) => row.goldenRecords > 0)
      .map((row) => ({
        label: row.records === 1 ? '1 record' : `${row.records} records`,
        value: row.goldenRecords,
        text: `${thousands(row.goldenRecords)} (${((100 * row.goldenRecords) / goldenRecords).toFixed(1)} %)`,
      })),
  });
}
