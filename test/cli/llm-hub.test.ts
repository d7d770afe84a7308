// The verbs as programs of their own against a hub on this machine: what they read from the environment, and what they print.

import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { endingOf } from '../fixtures/ending.ts';
import { cutAfter, type HubServer, hubServer, status } from '../models/hub-server.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const tiny = resolve(import.meta.dirname, '../oracle/llm/models/llama');
const token = 'hf_secret';

let home: string;
let server: HubServer;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-llm-hub-'));
  server = await hubServer({ token });
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

type Way = {
  /** What runs node and its words; node itself unless said. */
  readonly through?: readonly string[];
  /** Told the child when something is written to stderr. */
  readonly onStderr?: (child: ChildProcess, said: string) => void;
};

/** Beside the server's own event loop, so not with spawnSync. */
function llm(words: readonly string[], more: Readonly<Record<string, string>> = {}, { through = [], onStderr = () => {} }: Way = {}) {
  const settings = { HF_HOME: join(home, 'hf'), HF_TOKEN: '', HF_TOKEN_PATH: '', HF_HUB_OFFLINE: '', HF_ENDPOINT: server.endpoint };
  const [command, ...rest] = [...through, process.execPath, main, 'llm', ...words];
  const child = spawn(command!, rest, { cwd: home, env: { ...process.env, ...settings, ...more } });
  return endingOf(child, (text) => onStderr(child, text));
}

const model = () => {
  cpSync(tiny, join(home, 'mine'), { recursive: true });
  return ['push', '--folder', 'mine', '--to', 'team/tiny'];
};

describe('llm push and pull', () => {
  test('a model goes there and comes back the same, with the token of the environment', async () => {
    const pushed = await llm([...model(), '--json'], { HF_TOKEN: token });
    expect(pushed.status).toBe(0);
    const sent = ['config.json', 'generation_config.json', 'model.safetensors'];
    expect(JSON.parse(pushed.stdout)).toMatchObject({ name: 'team/tiny', isPrivate: true, files: sent });
    expect(pushed.stderr).toMatch(/not part of a model, left here: adapter, gradients\.safetensors, oracle\.json/);

    mkdirSync(join(home, 'hf'));
    writeFileSync(join(home, 'hf', 'token'), `${token}\n`);
    const pulled = await llm(['pull', 'team/tiny@main', '--out', 'back']);
    expect(pulled).toMatchObject({ status: 0, stdout: expect.stringMatching(/^team\/tiny, commit [0-9a-f]{12}: 3 files, 71 kB: back\n$/) });
    for (const name of sent) expect(readFileSync(join(home, 'back', name)).equals(readFileSync(join(tiny, name)))).toBe(true);
    expect(`${pushed.stdout}${pushed.stderr}${pulled.stdout}${pulled.stderr}`).not.toContain(token);
    expect([...server.tokens]).toEqual([token]);
    expect([...server.storageTokens]).toEqual([undefined]);
  });

  test('a busy hub is told of and waited for', async () => {
    server.add('team/open', { 'config.json': '{}' });
    server.fail(/tree/, status(429, { 'retry-after': '0' }));
    const { status: code, stderr } = await llm(['pull', 'team/open', '--out', 'out']);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringMatching(/is busy \(429\); asking again in 0 s\n/) });
    expect([...server.tokens]).toEqual([undefined]);
  });

  test.each<[string, Record<string, string>, string[], RegExp]>([
    [
      'a private model without a token',
      {},
      ['pull', 'team/none', '--out', 'out'],
      /hub: not without a valid token \(401\): team\/none; set HF_TOKEN/,
    ],
    ['a model there is none of', { HF_TOKEN: token }, ['pull', 'team/none', '--out', 'out'], /hub: not found: team\/none; check the name/],
    ['a token of something else', { HF_TOKEN: 'swordfish' }, ['pull', 'a/b', '--out', 'out'], /hub: the token is none of Hugging Face’s/],
    [
      'no network wanted',
      { HF_HUB_OFFLINE: '1' },
      ['pull', 'a/b', '--out', 'out'],
      /pull: offline: HF_HUB_OFFLINE is set, so no connection is opened/,
    ],
    ['an endpoint that is none', { HF_ENDPOINT: 'http://example.org' }, ['pull', 'a/b', '--out', 'out'], /hub: endpoint is not https/],
  ])('%s: one line, exit 2, nothing written', async (_, environment, words, says) => {
    const { status: code, stdout, stderr } = await llm([...words, '--quiet'], environment);
    expect({ code, stdout, stderr }).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('swordfish');
    expect(readdirSync(home)).toEqual([]);
  });

  const big = Buffer.alloc(300_000, 5);

  test('Ctrl-C leaves no folder, and the next pull goes on where it stopped', async () => {
    server.add('team/open', { 'config.json': '{}', 'model.safetensors': big });
    server.fail(/resolve.*safetensors$/, cutAfter(100_000, big));
    // The connection breaks, and the interrupt comes before it is tried again.
    const onStderr = (child: ChildProcess, said: string) => void (said.includes('connection lost') && child.kill('SIGINT'));
    const { status: code, stderr } = await llm(['pull', 'team/open', '--out', 'out'], {}, { onStderr });
    expect({ code, stderr }).toMatchObject({ code: 130, stderr: expect.stringMatching(/interrupted; earlier outputs are untouched\n$/) });
    expect(readdirSync(home)).toEqual(['.out.pull']);
    const { stdout } = await llm(['pull', 'team/open', '--out', 'out', '--json']);
    expect((JSON.parse(stdout) as { bytesKept: number }).bytesKept).toBeGreaterThan(2);
    expect(readdirSync(home)).toEqual(['out']);
    expect(readFileSync(join(home, 'out', 'model.safetensors')).equals(big)).toBe(true);
  });

  test('a full disk: one line, exit 2, and what was fetched is kept', async () => {
    server.add('team/open', { 'config.json': '{}', 'model.safetensors': big });
    // Files of at most 64 kB: what a full disk is to a program. The signal that comes with it is to be ignored.
    const through = ['bash', '-c', `trap '' XFSZ; ulimit -f 64; exec "$0" "$@"`];
    const { status: code, stderr } = await llm(
      ['pull', 'team/open', '--out', 'out', '--quiet'],
      { NODE_DISABLE_COMPILE_CACHE: '1' },
      { through },
    );
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/^clinfuse: output: disk full while writing .*\n$/) });
    expect(readdirSync(home)).toEqual(['.out.pull']);
  });

  test('offline asks nothing of anybody', async () => {
    await llm(['pull', 'a/b', '--out', 'out'], { HF_HUB_OFFLINE: '1' });
    await llm([...model(), '--offline'], { HF_TOKEN: token });
    expect(server.requests).toEqual([]);
  });
});
