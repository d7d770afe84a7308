import { Command } from 'commander';

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import { pathOf } from './verb.ts';
import { version } from './version.ts';

/** Areas, and verbs that stand alone, in the order of the help. One is loaded when its name is called, all when none is. */
const parts: Readonly<Record<string, (verb: string | undefined) => Promise<Command>>> = {
  er: async (verb) => (await import('./er.ts')).erCommand(verb),
  link: async () => (await import('./link.ts')).linkCommand(),
  llm: async () => (await import('./llm.ts')).llmCommand(),
  registry: async () => (await import('./registry.ts')).registryCommand(),
  runs: async () => (await import('./runs.ts')).runsCommand(),
  job: async () => (await import('./job.ts')).jobCommand(),
  repro: async () => (await import('./pipeline/repro.ts')).reproCommand(),
  status: async () => (await import('./pipeline/status.ts')).statusCommand(),
  dag: async () => (await import('./pipeline/dag.ts')).dagCommand(),
  params: async () => (await import('./pipeline/params-diff.ts')).paramsCommand(),
  metrics: async () => (await import('./pipeline/metrics.ts')).metricsCommand(),
  plots: async () => (await import('./pipeline/plots.ts')).plotsCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(version),
};

/** The command line before it is read: with all areas and verbs, or only the part that the arguments name. */
export async function program(argv: readonly string[] = []): Promise<Command> {
  const root = new Command('clinfuse')
    .description('Joins the pieces of patients’ records held at many facilities: linkage, clinical evidence, golden records.')
    .version(version);
  const named = parts[argv[0] ?? ''];
  for (const load of named ? [named] : Object.values(parts)) root.addCommand(await load(argv[1]));
  root.addHelpText('after', () => `\nVerbs:\n${verbList(root)}\n\nEvery verb: --help with an example, --json for machines, --quiet.`);
  for (const command of descendants(root)) if (command.commands.length > 0) suggestNearest(command);
  for (const command of descendants(root)) command.exitOverride().configureOutput({ outputError: () => {} });
  return root;
}

/** Two columns: `er resolve   candidate pairs, auto-matches, gray zone`. */
function verbList(root: Command): string {
  const rows = descendants(root)
    .filter(({ commands }) => commands.length === 0)
    .map((one) => [pathOf(one).replace('clinfuse ', ''), one.summary()] as const);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, summary]) => `  ${name.padEnd(width)}   ${summary}`).join('\n');
}

function suggestNearest(command: Command): void {
  command.action((_options: unknown, self: Command) => {
    const [typed] = self.args;
    if (typed === undefined) {
      self.outputHelp();
      return;
    }
    const near = nearest(
      typed,
      self.commands.map((one) => one.name()),
    );
    const path = pathOf(self);
    throw new UserError(
      'cli.unknown-verb',
      `${path}: unknown ${self.parent ? 'verb' : 'area'}: ${typed}; ${near ? `did you mean ${near}?` : `see ${path} --help`}`,
    );
  });
  command.allowExcessArguments().allowUnknownOption();
}

function descendants(command: Command): Command[] {
  return [command, ...command.commands.flatMap(descendants)];
}
