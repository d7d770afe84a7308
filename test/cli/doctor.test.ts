import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-doctor-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Found = {
  readonly onnxRuntime: { readonly providers: readonly { name: string; installed: boolean; works: boolean; needs: string }[] };
};

function doctor({ words = [], cache = home }: { readonly words?: readonly string[]; readonly cache?: string }) {
  const env = { ...process.env, CLINFUSE_CACHE: cache };
  return spawnSync(process.execPath, ['src/cli/main.ts', 'doctor', ...words], { encoding: 'utf8', env });
}

describe('clinfuse doctor', () => {
  test('says for machines what is there, one JSON object', () => {
    const { status, stdout } = doctor({ words: ['--json'] });
    expect(status).toBe(0);
    const found = JSON.parse(stdout) as Found;
    const version = expect.stringMatching(/^\d+\.\d+\.\d+/);
    expect(found).toMatchObject({
      clinfuse: version,
      node: { version: process.versions.node, platform: process.platform, arch: process.arch },
      machine: { cores: expect.any(Number), memoryBytes: expect.any(Number) },
      duckdb: { version },
      onnxRuntime: { version },
      cache: { folder: home, exists: true, freeBytes: expect.any(Number) },
    });
    const { providers } = found.onnxRuntime;
    expect(providers.map(({ name }) => name)).toEqual(['cpu', 'cuda', 'webgpu']);
    expect(providers[0]).toEqual({ name: 'cpu', installed: true, works: true, needs: 'nothing' });
    for (const { works, installed } of providers) expect(works && !installed).toBe(false);
  });

  test('says for people a line a part, and what a missing provider needs', () => {
    const { status, stdout } = doctor({ cache: join(home, 'later') });
    expect(status).toBe(0);
    for (const part of ['clinfuse', 'Node', 'processor', 'memory', 'DuckDB', 'ONNX Runtime', '  cpu', '  cuda', '  webgpu', 'cache']) {
      expect(stdout).toMatch(new RegExp(`^${part} {3,}\\S`, 'm'));
    }
    expect(stdout).toMatch(/^ {2}cpu +works$/m);
    expect(stdout).toMatch(/^ {2}cuda +(works|(not installed|installed, does not start); needs Linux x64, .*install\.js)$/m);
    expect(stdout).toContain(`${join(home, 'later')} (not made yet), `);
  });
});
