import { Command } from 'commander';

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import { doctorCommand } from './doctor.ts';
import { erCommand } from './er.ts';
import { linkCommand } from './link.ts';
import { llmCommand } from './llm.ts';

const version = '0.1.0';

/** The whole command line, areas and verbs, before any argument is read. */
export function program(): Command {
  const root = new Command('clinfuse')
    .description('Joins the pieces of patients’ records held at many facilities: linkage, clinical evidence, golden records.')
    .version(version)
    .addCommand(erCommand())
    .addCommand(linkCommand())
    .addCommand(llmCommand())
    .addCommand(doctorCommand(version));
  root.addHelpText('after', () => `\nVerbs:\n${verbList(root)}\n\nEvery verb: --help with an example, --json for machines, --quiet.`);
  for (const command of [root, ...root.commands]) if (command.commands.length > 0) suggestNearest(command);
  for (const command of descendants(root)) command.exitOverride().configureOutput({ outputError: () => {} });
  return root;
}

/** Two columns: `er resolve   candidate pairs, auto-matches, gray zone`. */
function verbList(root: Command): string {
  const rows = root.commands.flatMap((area) =>
    area.commands.length === 0
      ? [[area.name(), area.summary()] as const]
      : area.commands.map((one) => [`${area.name()} ${one.name()}`, one.summary()] as const),
  );
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
