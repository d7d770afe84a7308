// The story of one patient: what each facility wrote down, what demographics alone would have made of it, and what joined it.

import { linkLegend } from '../../../charts/network.ts';
import type { CaseStudy, Fact } from './data.ts';
import { facilityNumber } from './figures.ts';
import { type Html, html, trusted } from './html.ts';
import { type Drawn, figure, plural } from './sections-truth.ts';

const fieldLabels: Readonly<Record<string, string>> = {
  first_name: 'first name',
  last_name: 'last name',
  maiden_name: 'maiden name',
  birthdate: 'birth date',
  gender: 'gender',
  ssn: 'SSN',
  address: 'address',
  city: 'city',
  zip: 'ZIP',
};

export function caseSection(study: CaseStudy, drawn: Drawn): Html {
  const pieces = new Set(study.piecesBefore).size;
  const differing = study.rows.flatMap((row) => row.filter((value, i) => value !== study.golden[i])).length;
  return html`<section><h2>One patient, ${plural(study.rows.length, 'record')}</h2>
<p class="takeaway">Demographics alone leave this patient in ${pieces} pieces: ${plural(differing, 'cell')} of the ${study.rows.length} records differ from the golden record or are missing. The clinical histories put them together.</p>
<p class="note">A synthetic patient: nobody's real data. Marked cells differ from the golden record (${study.goldenId}), which takes the value most records agree on.</p>
<div class="wide"><table class="case"><thead><tr><th>facility</th>${study.fields.map((field) => html`<th>${fieldLabels[field] ?? field}</th>`)}</tr></thead><tbody>
${study.rows.map((row, i) => html`<tr><td>${facilityNumber(study.facilities[i]!)}</td>${row.map((value, f) => cell(value, study.golden[f]!))}</tr>`)}
<tr class="ours"><td>golden</td>${study.golden.map((value) => html`<td>${value ?? '–'}</td>`)}</tr></tbody></table></div>
${figure(drawn, 'case-network', html`Circles are the records by facility; one colour is one patient. ${linkLegend.map(key)}`)}
${study.story ? storyPart(study.story, study, drawn) : html``}</section>`;
}

function cell(value: string | null, golden: string | null): Html {
  if (value === null) return golden === null ? html`<td class="none">–</td>` : html`<td><span class="off">missing</span></td>`;
  return value === golden ? html`<td>${value}</td>` : html`<td><span class="off">${value}</span></td>`;
}

function key({ kind, label, color }: (typeof linkLegend)[number]): Html {
  const line = { accepted: 'solid', rejected: 'dashed', unseen: 'dotted' }[kind];
  return html` <span style="white-space:nowrap"><span class="key" style="border-top:3px ${line} ${color}"></span>${label}</span>${trusted('&ensp;')}`;
}

function storyPart(story: NonNullable<CaseStudy['story']>, study: CaseStudy, drawn: Drawn): Html {
  const facility = (member: number) => facilityNumber(study.facilities[member]!);
  const clinical = strongest(story.facts.filter((fact) => fact.side === 'clinical'));
  return html`<p class="takeaway">The pair that tells most, facilities ${facility(story.leftMember)} and ${facility(story.rightMember)}: demographics say ${odds(story.demographic)}, the histories multiply the odds by ${times(story.clinical)}, together ${odds(story.demographic + story.clinical)}.</p>
${figure(drawn, 'case-waterfall', html`From top to bottom: what is believed before looking (few pairs are matches), what each field adds (blue) or takes (orange), and the sum in black. Right of zero is “more likely one patient than not”.`)}
${clinical.length ? html`<p>What the histories say:</p><ul class="facts">${clinical.map(factRow)}</ul><p class="note">Figures are doublings of the odds: +3 makes one patient 8 times as likely, −1 half as likely.</p>` : html``}`;
}

/** The weightiest facts, for and against, each weight in doublings. */
function strongest(facts: readonly Fact[]): Fact[] {
  return facts
    .filter((fact) => Math.abs(fact.weight) >= 0.05)
    .toSorted((a, b) => Math.abs(b.weight) - Math.abs(a.weight))
    .slice(0, 10);
}

function factRow({ text, weight }: Fact): Html {
  const bits = weight / Math.LN2;
  return html`<li class="${bits >= 0 ? 'for' : 'against'}"><b>${bits >= 0 ? '+' : '−'}${Math.abs(bits).toFixed(1)}</b><span>${text}</span></li>`;
}

/** Log-odds in words: "1 to 40 against", "3,000 to 1 for". */
function odds(nats: number): string {
  const ratio = Math.exp(Math.min(Math.abs(nats), 18));
  const shown = ratio < 9.5 ? ratio.toFixed(1) : Number(ratio.toPrecision(2)).toLocaleString('en-US');
  return nats >= 0 ? `${shown} to 1 for one patient` : `${shown} to 1 against`;
}

function times(nats: number): string {
  const ratio = Math.exp(Math.min(nats, 18));
  return ratio < 9.5 ? ratio.toFixed(1) : Number(ratio.toPrecision(2)).toLocaleString('en-US');
}
