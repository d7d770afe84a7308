// Sections that hold the run against the truth. Each opens with its one-sentence takeaway, worked out from the data.

import { thousands } from '../../../base/text.ts';
import type { ReliabilityBin } from '../../../evaluation/calibration.ts';
import type { ReportData, ResultRow } from './data.ts';
import type { FigureName } from './figures.ts';
import { type Html, html, trusted } from './html.ts';

export type Truth = NonNullable<ReportData['truth']>;
export type Drawn = Partial<Record<FigureName, string>>;

/** A figure with its caption; nothing when it was not drawn. */
export function figure(drawn: Drawn, name: FigureName, caption: Html): Html {
  const svg = drawn[name];
  return svg === undefined
    ? html``
    : html`<figure id="${name}"><div class="wide">${trusted(svg)}</div><figcaption>${caption}</figcaption></figure>`;
}

/** 0.98765 -> "98.8 %"; what is not quite all does not round to 100. */
export function percent(share: number, digits = 1): string {
  const step = 10 ** digits;
  const rounded = Math.round(share * 100 * step) / step;
  const held = share < 1 && rounded === 100 ? 100 - 1 / step : share > 0 && rounded === 0 ? 1 / step : rounded;
  return `${held.toFixed(digits)} %`;
}

/** "1 patient", "2 patients". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${thousands(count)} ${count === 1 ? one : many}`;
}

export function resultSection(truth: Truth, drawn: Drawn): Html {
  const { patients, splitPatients, impureClusters, results } = truth;
  const mixed =
    impureClusters === 0
      ? 'no golden record mixes two people'
      : `${plural(impureClusters, 'golden record mixes', 'golden records mix')} people`;
  return html`<section><h2>The result, beside the published one</h2>
<p class="takeaway">Of ${plural(patients, 'patient')}, ${splitPatients === 0 ? 'none is' : splitPatients === 1 ? 'one is' : `${thousands(splitPatients)} are`} still split over several golden records, and ${mixed}.</p>
${figure(
  drawn,
  'split-patients',
  html`Patients whose chart stays in two or more pieces: fewer is better. The published system was measured on other patients of the same generator and settings, so the two compare as results, not patient by patient.`,
)}
<div class="wide"><table>
<thead><tr><th>method</th><th class="n">precision</th><th class="n">recall</th><th class="n">F1</th><th class="n">patients split</th><th class="n">golden records<br>mixing people</th></tr></thead>
<tbody>${group('Published', results, 'published')}${group('This run, the same records for every row', results, 'this run')}</tbody></table></div>
<p class="note">Precision: of record pairs put together, the share that are one patient. Recall: of pairs that are one patient, the share put together. F1 joins both. Rows of Splink score the links that were accepted; rows of ClinFuse score all pairs inside the golden records. The interval is what F1 would be for other patients like these (95 %, whole patients drawn at random). “Best in hindsight” has seen the answers; the last row has not.</p></section>`;
}

function group(title: string, rows: readonly ResultRow[], origin: ResultRow['origin']): Html {
  const own = rows.filter((row) => row.origin === origin);
  if (own.length === 0) return html``;
  return html`<tr class="group"><td colspan="6">${title}</td></tr>${own.map(resultRow)}`;
}

function resultRow(row: ResultRow): Html {
  const { low, high } = row.f1Interval ?? {};
  const interval = low === undefined ? '' : ` (${low.toFixed(3)}–${high!.toFixed(3)})`;
  const split =
    row.splitPatients === undefined ? '–' : `${thousands(row.splitPatients)}${row.patients ? ` of ${thousands(row.patients)}` : ''}`;
  return html`<tr${trusted(row.ours ? ' class="ours"' : '')}><td>${row.method}</td><td class="n">${row.precision.toFixed(3)}</td><td class="n">${row.recall.toFixed(3)}</td><td class="n">${row.f1.toFixed(3)}${interval}</td><td class="n">${split}</td><td class="n">${row.impureClusters === undefined ? 'not published' : thousands(row.impureClusters)}</td></tr>`;
}

export function precisionRecallSection(truth: Truth, drawn: Drawn): Html {
  const { chosenPairs, chosenClusters, curves, truePairs } = truth;
  const of = (kind: string) => curves.find((curve) => curve.kind === kind);
  const found = (point: { recall: number }) => percent(point.recall);
  return html`<section><h2>How sure, how many: precision and recall</h2>
<p class="takeaway">Joining every pair that is more likely one patient than not finds ${found(chosenPairs)} of the ${thousands(truePairs)} true pairs, and ${percent(chosenPairs.precision)} of what it joins is right. Clustering makes that ${found(chosenClusters)} and ${percent(chosenClusters.precision)}.</p>
${figure(
  drawn,
  'precision-recall',
  html`Each line shows every threshold one score could be cut at; further up and to the right is better. Average precision: ${curves.map((curve, i) => html`${i ? '; ' : ''}${curve.name} ${curve.averagePrecision.toFixed(3)}`)}. The threshold is not chosen on this data: it is a probability of one half.`,
)}
${of('em') && of('demographics') ? html`<p class="note">“Linkage alone” is unsupervised Fellegi-Sunter linkage. “Demographic evidence” is what the run weighed with, before any clinical history was looked at.</p>` : html``}</section>`;
}

export function splitSection(truth: Truth, drawn: Drawn): Html {
  const count = (method: 'demographics' | 'fused') => truth.split[method].facilities.reduce((sum, row) => sum + row.split, 0);
  return html`<section><h2>Whose chart stays split?</h2>
<p class="takeaway">Demographics alone would leave ${plural(count('demographics'), 'patient')} split, clinical evidence leaves ${thousands(count('fused'))}.</p>
${figure(drawn, 'split-by-errors', html`Of patients seen at two or more facilities, the share still split, by the errors in all their records together (typing errors, swapped dates, missing fields). Figures on the bars count patients.`)}
${figure(drawn, 'split-by-facilities', html`The same by number of facilities: each further record is one more that can go astray.`)}</section>`;
}

export function calibrationSection(truth: Truth, drawn: Drawn): Html {
  const { error, brier, pairs, bins } = truth.calibration;
  return html`<section><h2>Can its certainty be believed?</h2>
<p class="takeaway">Over ${thousands(pairs)} candidate pairs, the probability it states is off by ${(100 * error).toFixed(2)} percentage points on average.${doubtful(bins)}</p>
${figure(
  drawn,
  'calibration',
  html`Each point gathers pairs given about the same probability; on the dashed line, “70 % sure” comes true seven times in ten. The bars show how many pairs that is: nearly all are decided clearly, so points in the middle rest on few pairs; the upright lines show how far chance alone may move them (95 %). Brier score ${brier.toFixed(4)} (0 is perfect).`,
)}</section>`;
}

/** What the pairs it is unsure of came to: the average hides them, because nearly all pairs are decided clearly. */
function doubtful(bins: readonly ReliabilityBin[]): string {
  const unsure = bins.filter(({ meanPredicted }) => meanPredicted > 0.1 && meanPredicted < 0.9);
  const pairs = unsure.reduce((sum, { count }) => sum + count, 0);
  if (pairs < 20) return '';
  const mean = (pick: (bin: ReliabilityBin) => number) => unsure.reduce((sum, bin) => sum + bin.count * pick(bin), 0) / pairs;
  const [said, came] = [mean(({ meanPredicted }) => meanPredicted), mean(({ shareTrue }) => shareTrue)];
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const word = came - said > 0.1 ? 'too cautious' : said - came > 0.1 ? 'too bold' : 'about right';
  return ` Where it is unsure (10 to 90 %, ${thousands(pairs)} pairs) it is ${word}: ${percent(said)} said, ${percent(came)} true.`;
}
