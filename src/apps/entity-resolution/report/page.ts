// The report as one HTML page: data and drawn figures in, text out. Pure; nothing is read, nothing is loaded from elsewhere.

import { duration, thousands } from '../../../base/text.ts';
import type { ReportData } from './data.ts';
import { type Html, html, trusted } from './html.ts';
import { pageStyle } from './page-style.ts';
import { publishedCost } from './published.ts';
import { caseSection } from './section-case.ts';
import {
  calibrationSection,
  type Drawn,
  figure,
  percent,
  plural,
  precisionRecallSection,
  resultSection,
  splitSection,
} from './sections-truth.ts';

/**
 * The page.
 *
 * @param options.figures drawn figures as SVG text
 * @param options.fontCss the bundled font as CSS
 */
export function renderReport({
  data,
  figures,
  fontCss = '',
}: {
  readonly data: ReportData;
  readonly figures: Drawn;
  readonly fontCss?: string;
}): string {
  const { truth, caseStudy } = data;
  const body = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Linkage report: ${data.source}</title><style>${trusted(fontCss)}${trusted(pageStyle)}</style></head><body><main>
${header(data)}
${truth ? html`${resultSection(truth, figures)}${precisionRecallSection(truth, figures)}${splitSection(truth, figures)}${calibrationSection(truth, figures)}` : withoutTruth()}
${caseStudy ? caseSection(caseStudy, figures) : withoutCase(data)}
${sizesSection(data, figures)}
${costSection(data)}
${glossary()}
<footer>Made by ClinFuse from the run's own files. The figures lie beside this page as SVG and PNG.</footer>
</main></body></html>
`;
  return body.html;
}

function header({ source, synthetic, records, facilities, goldenRecords, candidates, truth }: ReportData): Html {
  const card = (figureText: string, text: string) => html`<li><b>${figureText}</b><span>${text}</span></li>`;
  return html`<h1>Which records are the same patient?</h1>
<p class="sub">Linkage report for “${source}”: ${plural(records, 'record')} from ${plural(facilities, 'facility', 'facilities')} joined into ${plural(goldenRecords, 'golden record')}.${synthetic ? ' All patients are synthetic (Synthea).' : ''}</p>
<ul class="cards">
${
  truth
    ? html`${card(thousands(truth.splitPatients), `of ${thousands(truth.patients)} patients still split`)}${card(thousands(truth.impureClusters), 'golden records that mix people')}${card(percent(truth.chosenClusters.precision, 2), 'of joined pairs are right')}${card(percent(truth.chosenClusters.recall, 2), 'of true pairs were joined')}`
    : html`${card(thousands(records), 'records read')}${card(thousands(goldenRecords), 'golden records')}${card(thousands(candidates), 'pairs compared')}${card((records / Math.max(1, goldenRecords)).toFixed(2), 'records per golden record')}`
}
</ul>`;
}

function withoutTruth(): Html {
  return html`<section><h2>Accuracy</h2><p>The truth about these records was not at hand, so nothing is said here about how many are right. To learn it for your data, have a sample of pairs judged by hand; to see these sections filled, run on the sample that comes with ClinFuse, or name a run folder with ground truth.</p></section>`;
}

function withoutCase({ synthetic, truth }: ReportData): Html {
  const why = synthetic
    ? 'in this run, demographics alone leave no patient in pieces that clinical evidence put together'
    : 'it would show a patient’s own values, and nothing in the run folder says that the patients are synthetic';
  return truth || !synthetic ? html`<section><h2>One patient</h2><p>No case is told here: ${why}.</p></section>` : html``;
}

function sizesSection({ clusterSizes, goldenRecords, facilities }: ReportData, drawn: Drawn): Html {
  const single = clusterSizes[0]?.goldenRecords ?? 0;
  const larger = clusterSizes.filter((row) => row.records > facilities).reduce((sum, row) => sum + row.goldenRecords, 0);
  return html`<section><h2>How many records make a patient?</h2>
<p class="takeaway">${thousands(goldenRecords - single)} of ${plural(goldenRecords, 'golden record')} join two records or more.</p>
${figure(
  drawn,
  'cluster-sizes',
  html`Golden records by the number of records they join. ${larger ? `${plural(larger, 'golden record')} ${larger === 1 ? 'holds' : 'hold'} more records than there are facilities: look at ${larger === 1 ? 'it' : 'these'} first.` : `None holds more records than there are facilities (${facilities}).`}`,
)}</section>`;
}

const stageNames: Readonly<Record<string, string>> = {
  open: 'read and standardise the records',
  resolve: 'find candidate pairs and weigh demographics',
  infer: 'read clinical histories and weigh them',
  goldenRecords: 'cluster, build golden records',
  baselines: 'demographics alone, for comparison',
  report: 'this report',
};

const tierNames: Readonly<Record<string, string>> = {
  auto_match: 'settled by demographics as one patient',
  gray_zone: 'in the gray zone between',
  auto_reject: 'settled by demographics as two people',
};

function costSection({ cost, tiers, candidates }: ReportData): Html {
  const { pairs, pairsPerSecond, dollarsPerHour, machine } = publishedCost;
  const total = cost.stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const hours = pairs / pairsPerSecond / 3600;
  const speed = cost.pairsPerSecond;
  return html`<section><h2>Time and cost</h2>
<p class="takeaway">${cost.stages.length ? `The whole run took ${duration(total)} on the CPU of one machine.` : 'The run left no timings.'}${cost.peakRssMb ? ` It held at most ${(cost.peakRssMb / 1000).toFixed(1)} GB of memory.` : ''}</p>
${
  cost.stages.length
    ? html`<div class="wide"><table><thead><tr><th>stage</th><th class="n">seconds</th></tr></thead><tbody>
${cost.stages.map(({ stage, seconds }) => html`<tr><td>${stageNames[stage] ?? stage}</td><td class="n">${seconds.toFixed(1)}</td></tr>`)}
</tbody></table></div>`
    : html``
}
<div class="wide"><table><thead><tr><th>weighing clinical histories</th><th class="n">pairs a second</th><th class="n">${thousands(pairs)} pairs take</th><th class="n">GPU rent for that</th></tr></thead><tbody>
<tr><td>published: 4B language model on ${machine}</td><td class="n">about ${pairsPerSecond}</td><td class="n">${hours.toFixed(1)} h</td><td class="n">$${(hours * dollarsPerHour).toFixed(2)}</td></tr>
${speed ? html`<tr class="ours"><td>this run, on the CPU</td><td class="n">${thousands(Math.round(speed))}</td><td class="n">${duration(pairs / speed)}</td><td class="n">none</td></tr>` : html``}</tbody></table></div>
<p class="note">${thousands(candidates)} pairs were compared: ${tiers.map(({ tier, pairs: count }, i) => html`${i ? ', ' : ''}${thousands(count)} ${tierNames[tier] ?? tier}`)}. The published run sent ${thousands(pairs)} gray-zone pairs to the language model, at $${dollarsPerHour.toFixed(2)} an hour for the GPU.</p></section>`;
}

function glossary(): Html {
  return html`<section><h2>Words used here</h2><dl>
<dt>record</dt><dd>one patient as one facility wrote them down</dd>
<dt>golden record</dt><dd>the one best row made of all records joined; each value can be traced to the records that hold it</dd>
<dt>split patient</dt><dd>a person whose records ended up in two or more golden records: history is missing when it is needed</dd>
<dt>mixed golden record</dt><dd>one that holds records of two people: the more dangerous error</dd>
<dt>evidence</dt><dd>how many times likelier what is seen is for one patient than for two; +1 is a doubling</dd>
<dt>candidate pair</dt><dd>two records alike enough to be worth a look</dd></dl></section>`;
}
