import { thousands } from '../../base/text.ts';
import type { Measured, PairFigures, ResolutionFigures, TrainingFigures } from './evidence-measure.ts';

/** The model card: what was trained on what, by which command, and how it does where it has not been trained. */
export function modelCard({ data, seed, command, heldOut, ablations, others }: TrainingFigures): string {
  return `# Evidence model

Two learned parts that say whether two records are of one patient: a demographic comparison (names, birth date, SSN, address) and a
clinical one (the two histories). Both are boosted trees on symmetric pair features, calibrated on held-out patients; their answers
add up as log-odds. docs/evidence.md says how; this page was written by the training run and holds its figures.

## Data and command
| | |
|---|---|
| training data | \`${data.name}\`: ${thousands(data.records)} records of ${thousands(data.patients)} synthetic patients, ${thousands(data.truePairs)} true pairs; ${data.damage} a record |
| seed | ${seed} |
| command | \`${command}\` |

Everything below is measured on patients that the measured model has not seen. The model in the file is fitted on all training patients.

## Held-out patients
One patient in four was kept aside: ${thousands(heldOut.records)} records, ${thousands(heldOut.truePairs)} true pairs, ${thousands(heldOut.candidates)} candidates (which hold ${percent(heldOut.candidateRecall)} of the true pairs).

| Clinical evidence alone | precision | recall | F1 |
|---|---|---|---|
${pairRow('as many random pairs as true ones', heldOut.balanced)}
${pairRow('the likeliest false candidates, at most as many as true pairs', heldOut.hardNegatives)}

${resolutionTable(heldOut)}

## Calibration
Fused posterior among the held-out candidates; ten bins of equal width, empty ones left out; expected calibration error ${heldOut.fused.calibration.error.toFixed(4)}.

| candidates | mean posterior | share of matches |
|---|---|---|
${heldOut.fused.calibration.bins.map((bin) => `| ${thousands(bin.count)} | ${bin.meanPredicted.toFixed(4)} | ${bin.shareTrue.toFixed(4)} |`).join('\n')}
${ablations.length === 0 ? '' : `\n${ablationSection(heldOut, ablations)}\n`}${others.length === 0 ? '' : `\n${othersSection(others)}\n`}
## What it must not be used for
It was trained on synthetic patients whose damage is that of one error injector. Before use on real records, train it again on records
whose truth is known, or take the unsupervised weights (\`demographics: em\`) for the demographic part. The rules on gender and
on one record per facility are not part of the model: they are settings, with a soft form.
`;
}

function resolutionTable(measured: Measured): string {
  return `| From candidates to patients | pairs: P | R | F1 | clustered: P | R | F1 | (95 %) | split | mixed | calibration error |
|---|---|---|---|---|---|---|---|---|---|---|
${resolutionRow('learned demographics', measured.demographics)}
${resolutionRow('learned demographics + clinical', measured.fused)}
${resolutionRow('unsupervised weights + clinical', measured.emFused)}`;
}

function ablationSection(whole: Measured, ablations: TrainingFigures['ablations']): string {
  const rows = [{ name: 'nothing', figures: whole }, ...ablations].map(({ name, figures }) => {
    const { balanced, fused, emFused } = figures;
    return `| ${name} | ${figure(balanced.f1)} | ${figure(fused.pairs.f1)} | ${figure(fused.clustered.f1)} | ${figure(emFused.clustered.f1)} |`;
  });
  return `## Ablations
The same patient split, trained and measured again without a part of the evidence. F1:

| without | clinical, balanced pairs | fused, pairs | fused, clustered | unsupervised + clinical, clustered |
|---|---|---|---|---|
${rows.join('\n')}${ablatedOthers(ablations)}`;
}

/** The same models on the other populations: clustered F1, fused / unsupervised + clinical. */
function ablatedOthers(ablations: TrainingFigures['ablations']): string {
  const names = ablations[0]?.others.map(({ name }) => `\`${name}\``) ?? [];
  if (names.length === 0) return '';
  const rows = ablations.map(({ name, others }) => {
    const cells = others.map(({ figures: { fused, emFused } }) => `${figure(fused.clustered.f1)} / ${figure(emFused.clustered.f1)}`);
    return `| ${[name, ...cells].join(' | ')} |`;
  });
  return `

The same models on other populations, clustered F1 with learned / unsupervised demographics:

| without | ${names.join(' | ')} |
|---|${names.map(() => '---|').join('')}
${rows.join('\n')}`;
}

function othersSection(others: TrainingFigures['others']): string {
  const rows = others.map(({ name, damage, figures }) => {
    const { fused, emFused } = figures;
    return `| \`${name}\` | ${damage} | ${thousands(figures.records)} | ${figure(figures.balanced.f1)} | ${figure(fused.pairs.f1)} | ${figure(fused.clustered.f1)} | ${fused.splitPatients} / ${fused.impureClusters} | ${figure(emFused.clustered.f1)} | ${fused.calibration.error.toFixed(4)} |`;
  });
  return `## Other populations
The final model on populations of other seeds and states. F1:

| population | damage | records | clinical, balanced pairs | fused, pairs | fused, clustered | split / mixed | unsupervised + clinical, clustered | calibration error |
|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}`;
}

function pairRow(name: string, { precision, recall, f1 }: PairFigures): string {
  return `| ${name} | ${figure(precision)} | ${figure(recall)} | ${figure(f1)} |`;
}

function resolutionRow(name: string, resolution: ResolutionFigures): string {
  const { pairs, clustered, clusteredInterval: interval, splitPatients, impureClusters, calibration } = resolution;
  const cells = [pairs, clustered].flatMap(({ precision, recall, f1 }) => [precision, recall, f1].map(figure));
  return `| ${[name, ...cells, `${figure(interval.low)} to ${figure(interval.high)}`, splitPatients, impureClusters, calibration.error.toFixed(4)].join(' | ')} |`;
}

function figure(value: number): string {
  return value.toFixed(4);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
