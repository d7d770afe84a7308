import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { type JobHandle, jobInput, nameJob } from '../../src/remote/job.ts';
import { checkResult } from '../../src/remote/result.ts';
import { sshTarget } from '../../src/remote/ssh-target.ts';

// `ssh` as it is, but for the way: it joins its words by spaces and gives them to a shell in another home folder.
const home = mkdtempSync(join(tmpdir(), 'clinfuse-ssh-'));
const there = join(home, 'home there');
const bin = join(home, 'bin');
const said = join(home, 'said.txt');
const root = `it's a "place" $HOME \`id\` & more;`;
const repository = resolve(import.meta.dirname, '../..');
const program = (name: string, text: string) => {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(bin, name), 0o755);
};
afterAll(() => rmSync(home, { recursive: true, force: true }));
mkdirSync(bin);
mkdirSync(there);
program(
  'ssh',
  `[ "$1 $2" = "-o BatchMode=yes" ] || exit 9
while [ "$1" != -- ]; do shift; done
shift
printf '%s\\n' "$*" >> '${said}'
[ "$1" = unknown ] && { echo "ssh: Could not resolve hostname unknown" >&2; exit 255; }
shift
cd '${there}' && HOME='${there}' exec /bin/sh -c "$*"`,
);

const path = [bin, join(repository, 'bin'), dirname(process.execPath), process.env['PATH']].join(':');
const secret = 'hf_aVeryLongSecretIndeed';
const environment = { ...process.env, PATH: path, HF_TOKEN: secret };
let now = 1_000_000;
const clock = () => now;
const target = sshTarget({ address: `gpu@box:${root}`, environment, clock });

// A decision that was turned down: the export is a real command, and over at once.
const model = join(home, "o'neil's model");
const odd = [`a b.json`, `it's "$(touch pwned)".txt`, '-rf', 'deep er/ö\nline.txt'];
beforeAll(() => {
  for (const name of odd) {
    mkdirSync(dirname(join(model, name)), { recursive: true });
    writeFileSync(join(model, name), name);
  }
  writeFileSync(join(model, '.hidden'), 'stays');
  writeFileSync(join(home, 'decision.json'), '{"promoted":false}');
});
beforeEach(() => rmSync(join(there, root), { recursive: true, force: true }));

async function exportJob(more: readonly string[] = []) {
  const [folder, decision] = [await jobInput(model), await jobInput(join(home, 'decision.json'))];
  const places = ['--model', '{in}/model', '--adapter', '{in}/model', '--decision', '{in}/decision.json', '--out', '{out}'];
  const inputs = { model: folder, 'decision.json': decision };
  return nameJob({ stage: 'export', command: ['er', 'llm', 'export', ...places, ...more], inputs, outputs: ['export_info.json'] });
}

/** Asks until the job is over. */
async function ended(handle: JobHandle) {
  for (;;) {
    const state = await target.status(handle);
    if (state.state !== 'running') return state;
  }
}

describe('ssh:', () => {
  test('sends a job, tells how it stands, brings its result back and leaves nothing there', async () => {
    const job = await exportJob();
    expect(await target.find(job.id)).toBeUndefined();
    expect(await target.estimate(job)).toMatch(/^\d+ B go to gpu@box, into it's a "place"/);
    const handle = await target.launch(job);
    expect(await target.find(job.id)).toEqual(handle);
    expect(readdirSync(join(there, root, job.id, 'in/model'), { recursive: true }).sort()).toEqual([...odd, 'deep er'].sort());
    const state = await ended(handle);
    if (state.state !== 'done') throw new Error(JSON.stringify(state));
    const into = join(home, 'collected');
    mkdirSync(into);
    await target.collect(handle, { revision: state.revision, into });
    await checkResult(into, { id: job.id, revision: state.revision });
    expect(JSON.parse(readFileSync(join(into, 'out/export_info.json'), 'utf8'))).toEqual({ skipped: true, reason: 'model_not_promoted' });
    for (let times = 0; times < 2; times++) await target.stop(handle);
    expect(readdirSync(join(there, root))).toEqual([]);
    expect(await target.status(handle)).toEqual({ state: 'gone' });
    expect(existsSync(join(there, 'pwned'))).toBe(false);
    expect(readdirSync(there)).toEqual([root]);
    expect(readFileSync(said, 'utf8')).not.toContain(secret);
  });

  test('a job that fails is told with the end of its log; another launch replaces it', async () => {
    const handle = await target.launch(await exportJob(['--no-such-option']));
    expect(await ended(handle)).toMatchObject({ state: 'failed', reason: 'exit code 2', log: expect.stringMatching(/unknown option/) });
    expect(await target.launch(await exportJob(['--no-such-option']))).toEqual(handle);
    expect(await ended(handle)).toMatchObject({ state: 'failed' });
  });

  test('a launch cut off before it began anything is gone, and may be stopped', async () => {
    const { id } = await exportJob();
    const folder = join(there, root, id);
    mkdirSync(folder, { recursive: true });
    expect(await target.find(id)).toBeUndefined();
    writeFileSync(join(folder, 'job.json'), '{}');
    const handle = (await target.find(id))!;
    expect(await target.status(handle)).toEqual({ state: 'gone' });
    rmSync(join(folder, 'job.json'));
    await target.stop(handle);
    expect(existsSync(folder)).toBe(false);
  });

  test('the clock there may be wrong', async () => {
    const handle = await target.launch(await exportJob());
    await ended(handle);
    const folder = join(there, handle['folder']!);
    rmSync(join(folder, 'manifest.json'));
    const worker = JSON.parse(readFileSync(join(folder, 'worker.json'), 'utf8'));
    writeFileSync(join(folder, 'worker.json'), JSON.stringify({ ...worker, host: 'a node behind it' }));
    writeFileSync(join(folder, 'status.json'), JSON.stringify({ state: 'running', heartbeat: Date.now() - 5_000 }));
    now = 42_000_000;
    const state = await target.status(handle);
    expect(state).toMatchObject({ state: 'running' });
    const ago = now - (state as { heartbeat: number }).heartbeat;
    expect(ago).toBeGreaterThanOrEqual(5_000);
    expect(ago).toBeLessThan(100_000);
  });

  test.each([
    {
      name: 'a host that is not reached',
      address: 'unknown',
      says: /^job: not reached: ssh:unknown: ssh: Could not resolve hostname unknown; try ssh unknown by hand/,
    },
    { name: 'an address that is an option', address: '-oProxyCommand=id', says: /^job: not an address: ssh:-oProxyCommand=id/ },
    { name: 'no address', address: '', says: /^job: not an address: ssh:;/ },
  ])('$name: one line', async ({ address, says }) => {
    const ask = async () => sshTarget({ address, environment, clock }).find('0');
    await expect(ask()).rejects.toThrow(says);
  });

  test('a machine without clinfuse is told before anything is sent', async () => {
    const bare = sshTarget({ address: 'box', environment: { ...environment, PATH: `${bin}:/usr/bin:/bin` }, clock });
    await expect(bare.launch(await exportJob())).rejects.toThrow(/^job: no clinfuse on ssh:box; install it there/);
    expect(existsSync(join(there, '.cache'))).toBe(false);
  });
});
