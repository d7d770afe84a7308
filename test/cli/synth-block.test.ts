import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { blockSettings } from '../../src/cli/er/synth-options.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-block-'));
const params = join(home, 'params.yaml');
writeFileSync(
  params,
  'augment: {assignment_seed: 7, num_facilities: 6, error_weights: {name_variation: 1}}\naugment_training: {error_seed: 8, error_weights: \'{"ssn_error": 1}\'}\ngenerate: {population: 5}\n',
);
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('settings from a block of params.yaml', () => {
  const block = (name: string) => blockSettings('augment', { verb: 'segment', block: name, params, flags: {} })!;

  test('every key of the block arrives, and what it leaves out is the default', () => {
    expect(block('augment').segment).toMatchObject({ seed: 7, facilities: 6, confusablePercent: 5 });
    expect(block('augment').inject).toMatchObject({ seed: 99, weights: { name_variation: 1 } });
  });

  test('weights may be JSON text, as in parameter files of the reference', () => {
    expect(block('augment_training').inject).toMatchObject({ seed: 8, weights: { ssn_error: 1 } });
  });

  test('without a block the flags speak', () => {
    expect(
      blockSettings('augment', { verb: 'segment', block: undefined, params: undefined, flags: { assignment_seed: 1 } }),
    ).toBeUndefined();
  });

  test.each([
    [['segment', '--block', 'augment', '--assignment-seed', '1'], 'segment: --block and --assignment-seed both say it; leave one out'],
    [['inject-errors', '--block', 'augment', '--min-errors', '1'], 'inject-errors: --block and --min-errors both say it; leave one out'],
    [['segment', '--params', params], 'segment: --params without --block; name the block to read'],
    [
      ['segment', '--block', 'resolve'],
      'params: no block resolve to read in params.yaml; name augment or augment_training, and write it there',
    ],
    [
      ['generate', '--block', 'generate_training'],
      'params: no block generate_training to read in params.yaml; name generate or generate_training',
    ],
  ])('%j is the user’s mistake: exit 2 and one line', (words, message) => {
    const places = words[0] === 'generate' ? ['--out', 'out'] : ['--in', 'in', '--out', 'out'];
    const { status, stderr } = spawnSync(process.execPath, [main, 'er', ...words, ...places], { cwd: home, encoding: 'utf8' });
    expect(stderr).toContain(message);
    expect({ status, lines: stderr.trim().split('\n').length, left: readdirSync(home) }).toEqual({
      status: 2,
      lines: 1,
      left: ['params.yaml'],
    });
  });
});
