import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { writeFolder, writeText } from '../../src/base/files.ts';

let home: string;
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'clinfuse-files-'))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

const fill = (text: string) => (folder: string) => writeFileSync(join(folder, 'table.csv'), text);

describe('outputs are whole or absent', () => {
  test('a folder takes the place of the one before in one step and leaves nothing beside it', async () => {
    const out = join(home, 'out');
    await writeFolder(out, { names: ['table.csv'] }, fill('one'));
    await writeFolder(out, { names: ['table.csv'] }, fill('two'));
    expect(readFileSync(join(out, 'table.csv'), 'utf8')).toBe('two');
    expect(readdirSync(home)).toEqual(['out']);
  });

  test('a failure in the middle leaves the earlier folder as it was', async () => {
    const out = join(home, 'out');
    await writeFolder(out, { names: ['table.csv'] }, fill('one'));
    const failing = writeFolder(out, { names: ['table.csv'] }, (folder) => {
      fill('half')(folder);
      throw new Error('stop');
    });
    await expect(failing).rejects.toThrow('stop');
    expect(readFileSync(join(out, 'table.csv'), 'utf8')).toBe('one');
    expect(readdirSync(home)).toEqual(['out']);
  });

  test('a .gitignore, as pipelines put beside the outputs they cache, is no reason to refuse, and stays', async () => {
    const out = join(home, 'out');
    mkdirSync(out);
    writeFileSync(join(out, '.gitignore'), '/table.csv');
    await writeFolder(out, { names: ['table.csv'] }, fill('one'));
    expect(readdirSync(out).sort()).toEqual(['.gitignore', 'table.csv']);
    expect(readFileSync(join(out, '.gitignore'), 'utf8')).toBe('/table.csv');
  });

  test('a folder that holds anything else is not overwritten', async () => {
    const out = join(home, 'mine');
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.doc'), 'years of work');
    await expect(writeFolder(out, { names: ['table.csv'] }, fill('one'))).rejects.toThrow(
      /output: folder holds something not written by this command: .*thesis.doc/,
    );
    expect(readdirSync(out)).toEqual(['thesis.doc']);
  });

  test.each(['', 'inside', '..'])('an output that overlaps the input is refused (%s)', async (where) => {
    const input = join(home, 'a', 'input');
    mkdirSync(input, { recursive: true });
    await expect(writeFolder(join(input, where), { names: ['input', 'table.csv'], inputs: [input] }, fill('x'))).rejects.toThrow(
      'overlaps the input',
    );
  });

  test('a file is replaced whole, and not at all when its place is a folder', async () => {
    const file = join(home, 'a', 'metrics.json');
    await writeText(file, '{}');
    await writeText(file, '{"a":1}');
    expect(readFileSync(file, 'utf8')).toBe('{"a":1}');
    await expect(writeText(join(home, 'a'), 'x')).rejects.toThrow('is a folder');
  });

  test('a place below a file cannot be written, and says so in one line', async () => {
    writeFileSync(join(home, 'file'), '');
    await expect(writeText(join(home, 'file', 'below.json'), 'x')).rejects.toThrow(/^output: cannot be written: .*; check/);
    expect(existsSync(join(home, 'file', 'below.json'))).toBe(false);
  });
});
