import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';

import { openRunpod, type PodRequest } from '../../src/remote/runpod-api.ts';
import { cut } from '../models/hub-server.ts';
import { lost, type RunpodServer, runpodServer, says } from './runpod-server.ts';

const key = 'rpa_keyOfTheAccount';
const home = mkdtempSync(join(tmpdir(), 'clinfuse-runpod-api-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let server: RunpodServer;
let waits: number[];
const said: string[] = [];
const open = (more: object = {}) =>
  openRunpod({ endpoint: server.endpoint, key, log: (line) => said.push(line), wait: async (ms) => void waits.push(ms), ...more });
const request: PodRequest = {
  ...{ name: 'clinfuse-1', imageName: 'a/b:1', computeType: 'GPU', gpuTypeIds: ['NVIDIA A40'], gpuCount: 1, cloudType: 'SECURE' },
  ...{ containerDiskInGb: 50, volumeInGb: 0, dockerStartCmd: ['-e', '0'], env: { HF_TOKEN: 'hf_hidden' } },
};

beforeEach(async () => {
  waits = [];
  // A pod whose container does nothing, for long enough.
  server = await runpodServer({ key, entry: ['/bin/sh', '-c', 'exec tail -f /dev/null', '--'], home });
});
afterEach(() => server.close());

describe('pods', () => {
  test('are made, found by id and by name, and deleted', async () => {
    const runpod = open();
    const { id, costPerHr } = await runpod.create(request);
    expect(costPerHr).toBe(0.44);
    expect(await runpod.find(id)).toMatchObject({ id, name: 'clinfuse-1', desiredStatus: 'RUNNING' });
    expect((await runpod.named('clinfuse-1')).map((pod) => pod.id)).toEqual([id]);
    expect(await runpod.named('clinfuse-2')).toEqual([]);
    await runpod.remove(id);
    expect(await runpod.find(id)).toBeUndefined();
    await runpod.remove(id);
  });

  test.each([
    ['is lost', lost],
    ['never came, since the request had not arrived', cut],
    ['says that something is broken', says(502, 'bad gateway')],
  ])('are made once where the answer %s', async (_, fault) => {
    server.fail(/POST/, fault);
    const { id } = await open().create(request);
    expect([...server.pods.keys()]).toEqual([id]);
  });

  test('are looked after until they are gone', async () => {
    const { id } = await open().create(request);
    server.fail(/DELETE/, (_, response) => {
      response.writeHead(204).end();
      return true;
    });
    await expect(open().remove(id)).rejects.toThrow(`pod ${id} was to be deleted and is still there; cancel again`);
    await open().remove(id);
    expect(server.pods.size).toBe(0);
  });
});

describe('answers', () => {
  test('busy: waits as long as it is asked to, with growing pauses where it is not told', async () => {
    server.fail(/GET/, says(429, 'slow', { 'retry-after': '9' }), says(503, 'away'), cut);
    expect(await open().named('x')).toEqual([]);
    expect(waits).toEqual([9000, 2000, 4000]);
  });

  test.each([
    [401, 'unauthorized', 'runpod.denied'],
    [403, 'forbidden', 'runpod.denied'],
    [402, 'payment required', 'runpod.credit'],
    [500, 'Your account balance is too low', 'runpod.credit'],
    [500, 'There are no longer any instances available with the requested specifications.', 'runpod.capacity'],
    [400, 'This machine does not have the resources to deploy your pod', 'runpod.capacity'],
    [422, 'imageName: too long', 'runpod.refused'],
  ])('%i %s: one line with the code %s', async (status, error, code) => {
    server.fail(/POST/, says(status, error));
    await expect(open().create(request)).rejects.toMatchObject({ code, message: expect.stringMatching(/^runpod: [^\n]+$/) });
    expect(server.made).toEqual([]);
  });

  test('no message holds what is secret, though the server says it', async () => {
    server.fail(/POST/, says(422, `bad request of ${key} with hf_hidden`));
    await expect(open().create(request)).rejects.toThrow('bad request of *** with ***');
    await expect(open({ key: 'rpa_other' }).find('pod1x')).rejects.toThrow(/^(?!.*rpa_).*key not accepted/);
    expect(said.join('\n')).not.toMatch(/rpa_|hf_/);
  });

  test('a key is sent to https, or to this machine alone', () => {
    expect(() => open({ endpoint: 'http://rest.example.org/v1' })).toThrow(/endpoint is not https/);
  });
});
