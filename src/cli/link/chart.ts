import type { Command } from 'commander';
import { z } from 'zod';

import { type ChartInputs, type ChartKind, drawChart } from '../../apps/linkage/chart.ts';
import { UserError } from '../../base/errors.ts';
import { nearest } from '../../base/text.ts';
import { threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { fileSchema, filesSchema, idOption, sourceOption } from './options.ts';

type Options = Partial<Omit<ChartInputs['thresholds'] & ChartInputs['waterfall'] & ChartInputs['blocking'], 'id'>> & {
  readonly model?: string;
  readonly report?: string;
};
type OptionName = keyof Options;

/** What each kind needs, and what it takes besides. `--id` and `--threads` go with every kind. */
const kinds: { readonly [K in ChartKind]: { readonly needs: readonly OptionName[]; readonly takes?: readonly OptionName[] } } = {
  'match-weights': { needs: ['model'] },
  'm-u': { needs: ['model'] },
  'em-history': { needs: ['report'] },
  histogram: { needs: ['pairs'] },
  waterfall: { needs: ['pairs', 'left', 'right'], takes: ['source'] },
  blocking: { needs: ['in', 'settings'] },
  completeness: { needs: ['in'], takes: ['source'] },
  thresholds: { needs: ['pairs', 'in', 'labels'], takes: ['source', 'linkOnly'] },
};

const text = z.string().min(1).optional();
const schema = z.strictObject({
  kind: z.string().optional(),
  out: fileSchema,
  model: text,
  report: text,
  pairs: text,
  left: text,
  right: text,
  in: filesSchema.optional(),
  settings: text,
  labels: text,
  id: z.string().min(1),
  source: text,
  linkOnly: z.boolean().optional(),
  threads: threadsSchema,
});

/** `clinfuse link chart`: pictures of a model, its training, its pairs and its records. */
export function chartCommand(): Command {
  return verb({
    name: 'chart',
    argument: { name: 'kind', help: Object.keys(kinds).join(', ') },
    summary: 'draws a model, its training, its pairs or its records',
    example: 'clinfuse link chart match-weights --model model.json --out weights.svg',
    options: [
      { flags: '--out <file>', help: '.svg, .png, or .json for the Vega-Lite specification', required: true },
      { flags: '--model <file>', help: 'match-weights, m-u: trained Splink model JSON' },
      { flags: '--report <file>', help: 'em-history: what link train --json printed' },
      { flags: '--pairs <file>', help: 'histogram, waterfall, thresholds: pairs as link predict or Splink write them' },
      { flags: '--left <id>', help: 'waterfall: one record of the pair' },
      { flags: '--right <id>', help: 'waterfall: the other record' },
      { flags: '--in <file...>', help: 'blocking, completeness, thresholds: records; a file for each source' },
      { flags: '--settings <file>', help: 'blocking: Splink model JSON with the rules' },
      { flags: '--labels <column>', help: 'thresholds: column that is equal on two records exactly when they are one person’s' },
      { flags: '--link-only', help: 'thresholds: two records of one source are no pair to be found' },
      idOption,
      sourceOption,
      threadsOption,
    ],
    schema,
    run: async ({ kind: typed, out, id, threads, ...options }, { progress, log }) => {
      const kind = kindOf(typed);
      checkOptions(kind, options as Options);
      await drawChart(kind, { ...options, id } as never, out, { threads, progress, log });
      return { text: `Chart of ${kind}: ${out}`, json: { kind, out } };
    },
  });
}

function kindOf(typed: string | undefined): ChartKind {
  const all = Object.keys(kinds) as ChartKind[];
  const kind = all.find((one) => one === typed);
  if (kind) return kind;
  if (typed === undefined) throw new UserError('cli.option', `chart: no kind of chart; name one of ${all.join(', ')}`);
  const near = nearest(typed, all);
  throw new UserError('cli.option', `chart: unknown kind: ${typed}; ${near ? `did you mean ${near}?` : `name one of ${all.join(', ')}`}`);
}

function checkOptions(kind: ChartKind, options: Options): void {
  const { needs, takes = [] } = kinds[kind];
  const flag = (name: string) => `--${name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
  const missing = needs.filter((name) => options[name] === undefined);
  if (missing.length > 0) {
    throw new UserError('cli.option', `chart: ${kind} needs ${missing.map(flag).join(', ')}; see clinfuse link chart --help`);
  }
  const given = (Object.keys(options) as OptionName[]).filter((name) => options[name] !== undefined);
  const foreign = given.filter((name) => !needs.includes(name) && !takes.includes(name));
  if (foreign.length > 0) {
    throw new UserError('cli.option', `chart: ${kind} takes no ${foreign.map(flag).join(', ')}; leave it out`);
  }
}
