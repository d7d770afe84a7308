import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-interrupt-'));
const [out, scratch] = [join(home, 'out'), join(home, 'scratch')];
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Runs the main job on the sample; sends Ctrl-C as soon as `when` appears in its log. */
function run(when?: string): Promise<number | null> {
  const words = [join(root, 'src/cli/main.ts'), 'er', 'run', '--in', join(root, 'examples/data'), '--out', out];
  // Compiled code is kept where other runs keep it: it is no trace of this one.
  const env = { ...process.env, TMPDIR: scratch, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said += text.toString();
    if (when !== undefined && said.includes(when)) child.kill('SIGINT');
  });
  return new Promise((done) => child.on('exit', done));
}

function fingerprint(path: string): string {
  if (!statSync(path).isDirectory()) return createHash('sha256').update(readFileSync(path)).digest('hex');
  return readdirSync(path)
    .sort()
    .map((name) => `${name}:${fingerprint(join(path, name))}`)
    .join('\n');
}

describe('Ctrl-C', () => {
  beforeAll(async () => {
    mkdirSync(scratch);
    expect(await run()).toBe(0);
  });

  // Each stage's line appears when the stage ends, so the signal arrives in the one after it.
  test.each(['clinical summaries', 'clinical profiles', 'clinical evidence', 'golden records', 'baselines'])(
    'after "%s" ends the run with 130 and leaves the earlier output, and nothing else',
    async (when) => {
      const before = fingerprint(out);
      expect(await run(when)).toBe(130);
      expect(fingerprint(out)).toBe(before);
      expect(readdirSync(home).sort()).toEqual(['out', 'scratch']);
      expect(readdirSync(scratch)).toEqual([]);
      expect(existsSync(join(out, 'run.json'))).toBe(true);
    },
  );
});
