import type { Command } from 'commander';
import { z } from 'zod';

import { explainRecords } from '../../apps/entity-resolution/explain.ts';
import { loadEvidenceModel } from '../../apps/entity-resolution/infer.ts';
import { openSession } from '../../apps/entity-resolution/session.ts';
import type { Explanation, Fact } from '../../evidence/explain.ts';
import { threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { folderSchema, inOption, modelOption } from './options.ts';

const schema = z.strictObject({
  in: folderSchema,
  left: z.string().min(1),
  right: z.string().min(1),
  model: z.string().min(1),
  threads: threadsSchema,
});

/** `clinfuse er explain`: why are two records joined, or not? */
export function explainCommand(): Command {
  return verb({
    name: 'explain',
    summary: 'says in words what speaks for and against two records being one patient',
    example: 'clinfuse er explain --in examples/data --left facility_001_UUID --right facility_002_UUID',
    options: [
      inOption,
      { flags: '--left <record>', help: 'record id: facility_NNN_ and the patient id there', required: true },
      { flags: '--right <record>', help: 'the other record id', required: true },
      modelOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: folder, left, right, model, threads }, { progress }) => {
      const evidence = loadEvidenceModel(model);
      await using session = await openSession(folder, { threads, progress });
      const explanation = await explainRecords(session, { left, right, model: evidence });
      return { text: explanationText(left, right, explanation), json: { left, right, ...explanation } };
    },
  });
}

/** Nats below which a fact is only named. */
const least = 0.1;

/** Facts as two lists, for and against, each with how many times likelier it makes one patient. */
function explanationText(left: string, right: string, { prior, facts, total, posterior }: Explanation): string {
  const side = (title: string, chosen: readonly Fact[]) =>
    chosen.length === 0 ? [] : [title, ...chosen.map((fact) => `  ${times(fact.nats).padStart(12)}  ${fact.text}`)];
  const slight = facts.filter((fact) => Math.abs(fact.nats) < least);
  const verdict = total > 0 ? 'one patient' : 'two patients';
  return [
    `${left} and ${right}: ${verdict}, posterior ${percent(posterior)}`,
    ...side(
      'For one patient (times likelier)',
      facts.filter((fact) => fact.nats >= least),
    ),
    ...side(
      'Against (times less likely)',
      facts.filter((fact) => fact.nats <= -least),
    ),
    ...(slight.length === 0 ? [] : [`Of no weight: ${slight.map((fact) => fact.theme).join(', ')}`]),
    `A proposed pair to begin with: ${oddsText(prior)}; all together: ${oddsText(total)}`,
  ].join('\n');
}

/** e^|nats| as a clerk reads it: "x 1.3", "x 4,200", "rules it out". */
function times(nats: number): string {
  return Number.isFinite(nats) ? `x ${count(Math.exp(Math.abs(nats)))}` : 'rules it out';
}

function count(value: number): string {
  if (value >= 1e6) return value.toExponential(0).replace('e+', 'e');
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US');
}

function oddsText(total: number): string {
  if (!Number.isFinite(total)) return 'nil';
  return total >= 0 ? `${count(Math.exp(total))} to 1 for` : `${count(Math.exp(-total))} to 1 against`;
}

/** Never 100 % or 0 %: the last digits say how sure. */
function percent(posterior: number): string {
  if (posterior > 0.999) return '> 99.9 %';
  if (posterior < 0.001) return '< 0.1 %';
  return `${(100 * posterior).toFixed(1)} %`;
}
