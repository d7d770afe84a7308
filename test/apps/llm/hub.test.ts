import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { push } from '../../../src/apps/llm/push.ts';
import { openHub } from '../../../src/models/hub.ts';
import { pull } from '../../../src/models/pull.ts';
import { cutAfter, type HubServer, hubServer, instead, status } from '../../models/hub-server.ts';

const token = 'hf_secret';
const weights = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const files = { 'config.json': '{"a": 1}', 'model.safetensors': weights, 'pytorch_model.bin': 'pickled', '.gitattributes': 'x' };

let home: string;
let server: HubServer;
let waits: number[];
let said: string[];
const wait = async (ms: number) => void waits.push(ms);
const log = (line: string) => void said.push(line);
const hub = (as: string | null = token) => openHub({ endpoint: server.endpoint, token: as ?? undefined, wait, log });
const pullHere = async (more: object = {}) => pull({ hub: await hub(), name: 'team/model', out: join(home, 'model'), wait, log, ...more });

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-hub-'));
  [waits, said] = [[], []];
  server = await hubServer({ token });
  server.add('team/model', files, true);
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

describe('pull', () => {
  test('fetches a model at its commit, without pickled weights', async () => {
    const result = await pullHere();
    expect(result).toMatchObject({ files: 2, bytes: 300_008, bytesKept: 0, skipped: ['pytorch_model.bin', '.gitattributes'] });
    expect(readdirSync(home)).toEqual(['model']);
    expect(readdirSync(join(home, 'model')).sort()).toEqual(['config.json', 'model.safetensors']);
    expect(readFileSync(join(home, 'model', 'model.safetensors')).equals(weights)).toBe(true);
    expect(server.requests.filter((one) => one.includes('/resolve/')).every((one) => one.includes(result.commit))).toBe(true);
  });

  test('fetches only the files that are named', async () => {
    expect(await pullHere({ files: ['*.json'] })).toMatchObject({ files: 1 });
    expect(readdirSync(join(home, 'model'))).toEqual(['config.json']);
  });

  test('goes on by range where a connection was cut, as often as something arrives', async () => {
    server.fail(/resolve.*safetensors$/, cutAfter(100_000, weights));
    server.fail(/resolve.*safetensors bytes=\d+-$/, cutAfter(50_000, weights), cutAfter(10, weights));
    await pullHere();
    expect(readFileSync(join(home, 'model', 'model.safetensors')).equals(weights)).toBe(true);
    const ranges = server.requests.flatMap((one) => /safetensors bytes=(\d+)-$/.exec(one)?.slice(1) ?? []).map(Number);
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeGreaterThan(0);
    expect(said.filter((line) => /connection lost at .* of 300 kB \(model.safetensors\); going on from there/.test(line))).toHaveLength(3);
  });

  test('gives up when nothing arrives any more, and the next pull goes on from there', async () => {
    server.fail(/resolve.*safetensors$/, cutAfter(100_000, weights));
    server.fail(/resolve.*safetensors bytes=\d+-$/, ...Array(5).fill(cutAfter(0, weights)));
    await expect(pullHere()).rejects.toThrow(/connection keeps breaking: model.safetensors at .* of 300 kB; run again to go on/);
    expect(existsSync(join(home, 'model'))).toBe(false);
    server.requests.length = 0;
    expect((await pullHere()).bytesKept).toBeGreaterThan(10);
    expect(server.requests.filter((one) => one.includes('config.json'))).toEqual([]);
    expect(readFileSync(join(home, 'model', 'model.safetensors')).equals(weights)).toBe(true);
    expect(readdirSync(home)).toEqual(['model']);
  });

  test('a server that ignores the range is taken from the start', async () => {
    server.fail(/resolve.*safetensors$/, cutAfter(100_000, weights));
    server.fail(/resolve.*safetensors bytes=\d+-$/, instead(weights));
    await pullHere();
    expect(readFileSync(join(home, 'model', 'model.safetensors')).equals(weights)).toBe(true);
  });

  test.each([
    ['another content', Buffer.alloc(300_000, 7), /arrived damaged: model.safetensors \(its checksum is another\)/],
    ['too much', Buffer.alloc(300_001, 7), /arrived damaged: model.safetensors is longer than its 300 kB/],
  ])('%s is thrown away: nothing appears', async (_, content, says) => {
    server.fail(/resolve.*safetensors$/, instead(content));
    await expect(pullHere()).rejects.toThrow(says);
    expect(existsSync(join(home, 'model'))).toBe(false);
  });

  test('waits as long as a busy server asks for', async () => {
    server.fail(/tree/, status(429, { 'retry-after': '7' }), status(503));
    await pullHere();
    expect(waits).toEqual([7000, 1000]);
    expect(said[0]).toMatch(/^127\.0\.0\.1:\d+ is busy \(429\); asking again in 7 s$/);
  });

  test('does not wait for ever', async () => {
    server.fail(/tree/, status(429, { 'retry-after': '3600' }));
    await expect(pullHere()).rejects.toThrow(/is busy \(429\); it asks for 3600 s of patience; run again later/);
    server.fail(/tree/, ...Array(6).fill(status(429)));
    await expect(pullHere()).rejects.toThrow(/is busy \(429\); run again later/);
  });

  test.each([
    ['without a token', null, {}, /not without a valid token \(401\): team\/model; set HF_TOKEN/],
    ['with a token that may not see it', 'hf_other', {}, /not found: team\/model; check the name/],
    ['at a revision there is none of', token, { revision: 'v9' }, /not found: team\/model@v9/],
    ['by another name', token, { name: 'team/none' }, /not found: team\/none/],
  ])('%s: one line that says so', async (_, as, more, says) => {
    await expect(pull({ hub: await hub(as), name: 'team/model', out: join(home, 'model'), ...more })).rejects.toThrow(says);
    expect(readdirSync(home)).toEqual([]);
  });

  test('gated models are explained', async () => {
    server.fail(/resolve/, status(403));
    await expect(pullHere()).rejects.toThrow(/access refused \(403\): team\/model; accept its terms/);
  });

  test('files outside the folder are refused', async () => {
    server.add('team/model', { 'config.json': '{}', '../../evil.json': 'x' });
    await expect(pullHere({ files: ['*'] })).rejects.toThrow(/names a file outside its folder: "\.\.\/\.\.\/evil\.json"/);
  });

  test('a folder of something else is left alone, before anything is fetched', async () => {
    mkdirSync(join(home, 'model'));
    writeFileSync(join(home, 'model', 'thesis.doc'), 'years');
    await expect(pullHere()).rejects.toThrow(/folder holds something not written by this command/);
    expect(server.requests.filter((one) => one.includes('resolve'))).toEqual([]);
  });

  test('what an earlier pull fetched is not fetched again', async () => {
    await pullHere();
    server.requests.length = 0;
    server.models.get('team/model')!.files.set('config.json', Buffer.from('{"a": 2}'));
    expect((await pullHere()).files).toBe(2);
    expect(server.requests.filter((one) => one.includes('safetensors'))).toEqual([]);
    expect(readFileSync(join(home, 'model', 'config.json'), 'utf8')).toBe('{"a": 2}');
  });
});

describe('push', () => {
  const folder = () => {
    const path = join(home, 'mine');
    mkdirSync(path);
    for (const [name, content] of Object.entries({ ...files, 'calibration.json': '{}', 'train.jsonl': 'patients', 'log.json': 'x' }))
      writeFileSync(join(path, name), content);
    return path;
  };

  test('makes a private model of the model’s files, and nothing else of the folder', async () => {
    const sent = ['calibration.json', 'config.json', 'model.safetensors'];
    const result = await push({ hub: await hub(), folder: folder(), name: 'team/new', log });
    expect(result).toMatchObject({ isPrivate: true, files: sent, bytes: 300_010, branch: 'main' });
    const made = server.models.get('team/new')!;
    expect(made.isPrivate).toBe(true);
    expect([...made.files.keys()].sort()).toEqual(sent);
    expect(made.files.get('model.safetensors')!.equals(weights)).toBe(true);
    expect(said).toContain('not part of a model, left here: .gitattributes, log.json, pytorch_model.bin, train.jsonl');
  });

  test('sends a large file once, though the commit fails the first time', async () => {
    const path = folder();
    server.fail(/commit/, status(400));
    await expect(push({ hub: await hub(), folder: path, name: 'team/new' })).rejects.toThrow(/refused \(400\): team\/new/);
    await push({ hub: await hub(), folder: path, name: 'team/new' });
    expect(server.requests.filter((one) => one.startsWith('PUT'))).toHaveLength(1);
  });

  test('makes it public only when told', async () => {
    await push({ hub: await hub(), folder: folder(), name: 'team/new', isPublic: true, branch: 'v2' });
    expect(server.models.get('team/new')!.isPrivate).toBe(false);
    expect(server.requests).toContain('POST /api/models/team/new/branch/v2');
    expect(server.requests).toContain('POST /api/models/team/new/commit/v2');
  });

  test('does not write to a public model unless told', async () => {
    server.add('team/open', {});
    await expect(push({ hub: await hub(), folder: folder(), name: 'team/open' })).rejects.toThrow(
      /everybody can see team\/open; say --public/,
    );
    expect(server.requests.filter((one) => one.startsWith('POST'))).toEqual([]);
  });

  test('refuses a folder without a model', async () => {
    await expect(push({ hub: await hub(), folder: home, name: 'team/new' })).rejects.toThrow(/no model in .*: neither config.json/);
    expect(server.requests).toEqual([]);
  });

  test('a token that may not write is told', async () => {
    await expect(push({ hub: await hub('hf_other'), folder: folder(), name: 'team/new' })).rejects.toThrow(
      /\(401\): team\/new; the token may have expired/,
    );
  });
});

describe('the connection', () => {
  test.each([
    ['http://example.org', /endpoint is not https/],
    ['nowhere', /endpoint is no address: nowhere/],
  ])('%s is refused', async (endpoint, says) => {
    await expect(openHub({ endpoint })).rejects.toThrow(says);
  });

  test('a token of another kind is refused without showing it', async () => {
    await expect(openHub({ endpoint: server.endpoint, token: 'my password' })).rejects.toThrow(/^(?!.*password).*begin with hf_/);
  });

  test('a server that is not there is tried a few times', async () => {
    const gone = await hubServer();
    await gone.close();
    const away = await openHub({ endpoint: gone.endpoint, wait, log });
    await expect(pull({ hub: away, name: 'team/model', out: join(home, 'model') })).rejects.toThrow(
      /not reached: 127\.0\.0\.1:\d+; check the connection/,
    );
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000]);
  });

  test('no message holds the token', async () => {
    server.fail(/resolve/, status(403), status(500));
    await expect(pullHere()).rejects.toThrow();
    await pullHere();
    expect(JSON.stringify(said)).not.toContain(token);
    expect([...server.tokens]).toEqual([token]);
  });
});
