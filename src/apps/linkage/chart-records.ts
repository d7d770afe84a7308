import { basename } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { thousands } from '../../base/text.ts';
import { blockingCountsChart, type RuleBlocks } from '../../charts/blocking-counts.ts';
import { completenessChart } from '../../charts/completeness.ts';
import type { ChartSpec } from '../../charts/render.ts';
import { requireColumns } from '../../sql/columns.ts';
import { quote } from '../../sql/duckdb.ts';
import { readModelFile } from './input.ts';
import { loadFiles, peopleTable } from './records.ts';
import { openLinker, openStore, type StageOptions } from './session.ts';

/** New pairs are counted by walking all of them: up to so many, which takes two cores half a minute. */
const mostWalked = 2e9;
/** Sources that still make a readable chart. */
const mostSources = 40;

/** What each blocking rule makes, and what it adds where walking all pairs is cheap. */
export async function blockingOf(
  { in: files, settings: settingsFile }: { readonly in: readonly string[]; readonly settings: string },
  stage: StageOptions,
): Promise<ChartSpec> {
  const { settings } = readModelFile(settingsFile);
  if (settings.blockingRules.length === 0) {
    throw new UserError('chart.rules', `chart: no blocking rules in ${settingsFile}; give blocking_rules_to_generate_predictions`);
  }
  await using db = await openStore(stage);
  await using linker = await openLinker(db, files, settings, stage);
  const counts = await linker.countPairs();
  const all = counts.reduce((sum, { pairs }) => sum + pairs, 0);
  const added = all <= mostWalked ? await linker.countNewPairs() : undefined;
  const rules: RuleBlocks[] = [];
  for (const [i, count] of counts.entries()) {
    const rule = settings.blockingRules[i]!;
    const pairs = added && rule.where ? (await linker.countNewPairs([rule]))[0]! : count.pairs;
    rules.push({ ...count, pairs, ...(added ? { newPairs: added[i]! } : {}) });
  }
  const from = `${thousands(linker.recordCount)} records of ${namesOf(files)}, rules of ${basename(settingsFile)}.`;
  const note = added
    ? ''
    : ` Each rule by itself: with ${thousands(all)} pairs in all, those that several rules make, or a condition drops, were not told apart.`;
  return blockingCountsChart({ rules, source: `${from}${note}` });
}

/** Share of values that are there, by column and source. */
export async function completenessOf(
  { in: files, source }: { readonly in: readonly string[]; readonly source?: string | undefined },
  stage: StageOptions,
): Promise<ChartSpec> {
  await using db = await openStore(stage);
  const split = source ?? (files.length > 1 ? 'source_dataset' : undefined);
  await loadFiles(db, files, split);
  const names = (await db.describe(peopleTable)).map(({ name }) => name);
  if (split) requireColumns([split], names, { part: 'chart', code: 'chart.columns', file: namesOf(files) });
  const columns = names.filter((name) => name.toLowerCase() !== split?.toLowerCase());
  const counts = columns.map((name, c) => `count(${quote(name)}) as c${c}`);
  const rows = await db.rows<{ source: string; records: number } & Record<string, number>>(
    `select ${split ? `coalesce(cast(${quote(split)} as varchar), 'no source')` : 'null'} as source, ${['count(*) as records', ...counts].join(', ')}
     from ${peopleTable} group by 1 order by 1`,
  );
  if (rows.length > mostSources) {
    const hint = `name a column of at most ${mostSources} sources`;
    throw new UserError('chart.columns', `chart: too many sources: ${split} has ${thousands(rows.length)} values; ${hint}`);
  }
  return completenessChart({
    sources: rows.map(({ source: name, records }) => ({ name: name ?? basename(files[0]!), records })),
    columns: columns.map((column, c) => ({ column, present: rows.map((row) => row[`c${c}`]!) })),
    source: `Share of records of ${namesOf(files)} that have a value${split ? `, by ${split}` : ''}; the least complete column first.`,
  });
}

function namesOf(files: readonly string[]): string {
  return files.map((file) => basename(file)).join(', ');
}
