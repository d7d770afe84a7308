import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { killLoop } from './kill-loop.ts';

const folder = mkdtempSync(join(tmpdir(), 'clinfuse-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('killed at any moment, the next repro ends in the state of an undisturbed run', async () => {
  expect(await killLoop({ folder, kills: 15, seed: 1 })).toMatchObject({ kills: 15, differences: [] });
}, 180_000);
