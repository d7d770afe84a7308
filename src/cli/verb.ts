import { Command, Option } from 'commander';

import { UserError } from '../base/errors.ts';
import { type CliContext, createContext, type VerbResult } from './context.ts';

export type VerbOption = {
  /** As commander writes it: `--in <folder>`, `--json`. */
  readonly flags: string;
  readonly help: string;
  readonly required?: boolean;
  readonly default?: string | number | boolean;
  /** Understood, but not shown in --help. */
  readonly hidden?: boolean;
};

/** What reads options: a zod schema, or, for verbs that are to answer at once, something plain that answers alike (zod takes 40 ms to load). */
export type OptionSchema<T> = {
  readonly safeParse: (raw: unknown) =>
    | { readonly success: true; readonly data: T }
    | {
        readonly success: false;
        readonly error: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] };
      };
};

export type Verb<T> = {
  readonly name: string;
  /** A word after the verb, or a `list` of words; the schema sees it under its name, or not at all where it is left out. */
  readonly argument?: { readonly name: string; readonly help: string; readonly list?: true };
  /** One line, shown in the list of verbs. */
  readonly summary: string;
  /** A command that can be pasted. */
  readonly example: string;
  readonly options: readonly VerbOption[];
  /** Parses what commander collected; its complaints become one line and exit 2. */
  readonly schema: OptionSchema<T>;
  readonly run: (options: T, context: CliContext) => Promise<VerbResult>;
};

/** Makes a commander command of a verb: parse, call, print. Every verb also gets `--json` and `--quiet`. */
export function verb<T>({ name, argument, summary, example, options, schema, run }: Verb<T>): Command {
  const command = new Command(name).summary(summary).description(summary);
  if (argument) command.argument(`[${argument.name}${argument.list ? '...' : ''}]`, argument.help);
  for (const { flags, help, required, default: fallback, hidden } of options) {
    const option = new Option(flags, help);
    if (fallback !== undefined) option.default(fallback);
    if (required) option.makeOptionMandatory();
    if (hidden) option.hideHelp();
    command.addOption(option);
  }
  command.option('--json', 'print one JSON object on stdout').option('--quiet', 'no progress, no log lines');
  command.addHelpText('after', `\nExample:\n  ${example}`);
  command.action(async (...given: unknown[]) => {
    const [word, raw] = argument ? given : [undefined, given[0]];
    const { json, quiet, ...options } = raw as Record<string, unknown>;
    const rest = argument && word !== undefined ? { ...options, [argument.name]: word } : options;
    const parsed = schema.safeParse(rest);
    if (!parsed.success)
      throw new UserError(
        'cli.option',
        `${name}: ${describeIssue(parsed.error.issues[0]!, argument?.name)}; see ${pathOf(command)} --help`,
      );
    const result = await run(parsed.data, createContext({ json: json === true, quiet: quiet === true }));
    if (json) process.stdout.write(`${JSON.stringify(result.json)}\n`);
    else if (result.text !== undefined) process.stdout.write(`${result.text}\n`);
    if (result.exitCode) process.exitCode = result.exitCode;
  });
  return command;
}

/** `clinfuse er llm train`: a command with all above it. */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

/** The first thing wrong with an option, in words: `--seed: expected number, received text`. */
function describeIssue(issue: { readonly path: readonly PropertyKey[]; readonly message: string }, argument?: string): string {
  if (argument !== undefined && issue.path[0] === argument) return `<${argument}>: ${issue.message}`;
  const option = issue.path
    .map(String)
    .join('.')
    .replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
  return option ? `--${option}: ${issue.message}` : issue.message;
}

/** Options that verbs of every area share. */
export const threadsOption: VerbOption = { flags: '--threads <count>', help: 'threads (default: all cores)' };
