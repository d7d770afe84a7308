import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { type ProcessGroup, runCommand, startOf, stopGroup } from '../../src/pipeline/shell.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-shell-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function sh(
  command: string,
  { signal = new AbortController().signal, onStart = () => {}, ...environment }: Record<string, unknown> = {},
) {
  let output = '';
  const result = await runCommand(command, {
    folder: home,
    environment: { PATH: process.env['PATH'], ...environment } as Record<string, string>,
    onStart: onStart as (group: ProcessGroup) => void,
    onOutput: (text) => {
      output += text;
    },
    signal: signal as AbortSignal,
  });
  return { ...result, output };
}

describe('a command of a stage', () => {
  test.each([
    ['what it prints, both ways', 'echo out; echo err >&2', { code: 0, output: 'out\nerr\n' }],
    ['with which code it ended', 'exit 3', { code: 3, output: '' }],
    ['by which signal it ended', 'kill -9 $$', { code: null, signal: 'SIGKILL' }],
    ['where it runs', 'test "$(pwd -P)" = "$(cd "$WHERE" && pwd -P)"', { code: 0 }],
    ['nothing waits for input', 'cat; echo end', { output: 'end\n' }],
    ['quotes and dollars are the shell’s own', 'x="a b"; echo "$x" \'$x\'', { output: 'a b $x\n' }],
    ['what it left in the background is waited for', '(sleep 0.1; echo late) & echo early', { output: 'early\nlate\n' }],
    ['characters of several bytes arrive whole', 'printf "\\303"; sleep 0.05; printf "\\251"', { output: 'é' }],
  ])('%s', async (_, command, expected) => {
    expect(await sh(command, { WHERE: home })).toMatchObject(expected);
  });

  test.skipIf(!existsSync('/bin/bash'))('runs by the shell of the user', async () => {
    expect((await sh('test -n "$BASH_VERSION" && echo bash', { SHELL: '/bin/bash' })).output).toBe('bash\n');
  });

  test('is stopped with all it started', async () => {
    const stop = new AbortController();
    let group: ProcessGroup | undefined;
    const running = sh('sleep 60 & sleep 60', {
      signal: stop.signal,
      onStart: (one: ProcessGroup) => {
        group = one;
      },
    });
    stop.abort();
    expect((await running).code).not.toBe(0);
    await stopGroup(group!);
    expect(startOf(group!.group)).toBeUndefined();
  });

  test('never begins when its runner is killed before the group is on file', () => {
    const program = `
      import { runCommand } from ${JSON.stringify(resolve('src/pipeline/shell.ts'))};
      import { writeFileSync } from 'node:fs';
      await runCommand('touch begun', {
        folder: ${JSON.stringify(home)}, environment: process.env, signal: new AbortController().signal, onOutput() {},
        onStart({ group }) { writeFileSync(${JSON.stringify(join(home, 'group'))}, String(group)); process.kill(process.pid, 'SIGKILL'); },
      });`;
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', program]).signal).toBe('SIGKILL');
    const group = Number(readFileSync(join(home, 'group'), 'utf8'));
    while (startOf(group) !== undefined);
    expect(existsSync(join(home, 'begun'))).toBe(false);
  });

  test('another process under the same number is left alone', async () => {
    await stopGroup({ group: process.pid, started: 'earlier' });
    expect(startOf(process.pid)).toBeDefined();
  });
});
