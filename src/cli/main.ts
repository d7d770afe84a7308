#!/usr/bin/env node
// clinfuse <area> <verb>. Exit 0 done, 2 the user's mistake (one line), 1 a bug, 130 interrupted.

import { Command, CommanderError } from 'commander';

import { UserError } from '../base/errors.ts';
import { discardPartial } from '../base/files.ts';
import { nearest } from '../base/text.ts';
import { erCommand } from './er.ts';

const version = '0.1.0';

function program(): Command {
  const root = new Command('clinfuse')
    .description('Joins the pieces of patients’ records held at many facilities: linkage, clinical evidence, golden records.')
    .version(version)
    .addCommand(erCommand());
  root.addHelpText('after', () => `\nVerbs:\n${verbList(root)}\n\nEvery verb: --help with an example, --json for machines, --quiet.`);
  for (const command of [root, ...root.commands]) suggestNearest(command);
  for (const command of descendants(root)) command.exitOverride().configureOutput({ outputError: () => {} });
  return root;
}

/** Two columns: `er resolve   candidate pairs, auto-matches, gray zone`. */
function verbList(root: Command): string {
  const rows = root.commands.flatMap((area) => area.commands.map((one) => [`${area.name()} ${one.name()}`, one.summary()] as const));
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
    const path = self.parent ? `${self.parent.name()} ${self.name()}` : self.name();
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

/** Runs the command line and says with which code to exit. */
async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      process.stderr.write(`clinfuse: ${error.message.replace(/^error: /, '')}; see --help\n`);
      return 2;
    }
    if (error instanceof UserError) {
      process.stderr.write(`clinfuse: ${error.message}\n`);
      return 2;
    }
    process.stderr.write(
      `clinfuse: this is a bug; please report it with these lines\n${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return 1;
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    discardPartial();
    process.stderr.write('\nclinfuse: interrupted; earlier outputs are untouched\n');
    // Node's own exit would wait for DuckDB's running query.
    process.exit(130);
  });
}
// A closed pipe (`clinfuse ... | head`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await main(process.argv.slice(2));
