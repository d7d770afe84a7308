// The verbs as programs of their own against a hub on this machine: what they read from the environment, and what they print.

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type HubServer, hubServer, status } from '../models/hub-server.ts';

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

/** Beside the server's own event loop, so not with spawnSync. */
function llm(words: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const settings = { HF_HOME: join(home, 'hf'), HF_TOKEN: '', HF_TOKEN_PATH: '', HF_HUB_OFFLINE: '', HF_ENDPOINT: server.endpoint };
  const child = spawn(process.execPath, [main, 'llm', ...words], { cwd: home, env: { ...process.env, ...settings, ...more } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part: Buffer) => {
    stdout += part.toString();
  });
  child.stderr.on('data', (part: Buffer) => {
    stderr += part.toString();
  });
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((done) =>
    child.on('close', (code) => done({ status: code, stdout, stderr })),
  );
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

  test('offline asks nothing of anybody', async () => {
    await llm(['pull', 'a/b', '--out', 'out'], { HF_HUB_OFFLINE: '1' });
    await llm([...model(), '--offline'], { HF_TOKEN: token });
    expect(server.requests).toEqual([]);
  });
});
