#!/usr/bin/env node
// clinfuse <area> <verb>. Exit 0 done, 2 the user's mistake (one line), 1 a bug, 130 interrupted.

import * as module from 'node:module';
import { CommanderError } from 'commander';

import { UserError } from '../base/errors.ts';
import { discardPartial } from '../base/files.ts';
import { askToFinish } from './interrupt.ts';

// What was compiled once is kept for the next run (Node 22 and later), which else spends a quarter of a second on it. Only what is
// imported from here on.
module.enableCompileCache?.();
const { program } = await import('./program.ts');

/** Runs the command line and says with which code to exit. */
async function main(argv: readonly string[]): Promise<number> {
  try {
    await (await program(argv)).parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      process.stderr.write(`clinfuse: ${error.message.replace(/^error: /, '').replaceAll('\n', ' ')}; see --help\n`);
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

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    const doing = askToFinish();
    if (doing !== undefined) {
      process.stderr.write(`\nclinfuse: ${doing}; again to stop at once\n`);
      return;
    }
    discardPartial();
    process.stderr.write('\nclinfuse: interrupted; earlier outputs are untouched\n');
    // Node's own exit would wait for DuckDB's running query.
    process.exit(130);
  });
}
// A closed pipe (`clinfuse ... | head`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await main(process.argv.slice(2));
