// What DVC has and we have not: every row of the tables in docs/pipelines.md, shown to be refused in one line that names it.

import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { UserError } from '../../src/base/errors.ts';
import { repro } from '../../src/pipeline/run.ts';
import { initProject } from './cases.ts';

type Refused = { readonly files: Readonly<Record<string, string>>; readonly line: RegExp; readonly targets?: readonly string[] };

const stage = (rest = '') => `stages: {a: {cmd: cp in out, deps: [in], outs: [out]${rest}}}\n`;
const ofPath = (rest: string) => `schema: '2.0'\nstages: {a: {cmd: cp in out, deps: [{path: in, ${rest}}]}}\n`;
const md5 = 'md5: 5d41402abc4b2a76b9719d911017c592';

/** First words of a row to projects that show it. */
const rows: Readonly<Record<string, readonly Refused[]>> = {
  '`artifacts`, `datasets`': [
    { files: { 'dvc.yaml': 'artifacts: {}\n' }, line: /not supported: artifacts/ },
    { files: { 'dvc.yaml': 'datasets: []\n' }, line: /not supported: datasets/ },
  ],
  'places that are not local': [
    { files: { 'dvc.yaml': 'stages: {a: {cmd: x, deps: ["s3://b/k"]}}\n' }, line: /not supported: remote places: s3:/ },
    { files: { 'dvc.yaml': 'stages: {a: {cmd: x, outs: ["remote://r/k"]}}\n' }, line: /not supported: remote places: remote:/ },
  ],
  'parameters or variables in a Python file': [
    {
      files: { 'dvc.yaml': stage(', params: [{p.py: [lr]}]'), 'p.py': 'lr = 1' },
      line: /not supported: parameters in a Python file: p.py/,
    },
    { files: { 'dvc.yaml': `vars: [p.py]\n${stage()}`, 'p.py': 'lr = 1' }, line: /not supported: values in a Python file: .*p.py/ },
  ],
  'patterns in names of parameters': [{ files: { 'dvc.yaml': stage(", params: ['train.*']") }, line: /not supported: patterns in names/ }],
  'dates outside quotes': [{ files: { 'dvc.yaml': stage(), 'params.yaml': 'day: 2024-02-29\n' }, line: /dates are not supported/ }],
  '`checkpoint` of an output': [
    { files: { 'dvc.yaml': 'stages: {a: {cmd: x, outs: [{o: {checkpoint: true}}]}}\n' }, line: /not supported: checkpoint/ },
  ],
  '`%YAML 1.1`': [
    { files: { 'dvc.yaml': `%YAML 1.1\n---\n${stage()}` }, line: /%YAML 1.1 is not supported/ },
    { files: { 'dvc.yaml': stage(), 'params.yaml': 'a: !mine 1\n' }, line: /tag: !mine/ },
  ],
  'several `dvc.yaml`': [{ files: { 'dvc.yaml': stage() }, targets: ['a/dvc.yaml:b'], line: /only stages of one dvc.yaml/ }],
  'imports (`.dvc` files with `deps`)': [
    {
      files: { 'dvc.yaml': stage(), 'in.dvc': `deps: [{path: x, ${md5}}]\nouts: [{path: in, hash: md5, ${md5}}]\n` },
      line: /not supported: imports/,
    },
  ],
  'entries of DVC 2': [
    { files: { 'dvc.yaml': stage(), 'dvc.lock': ofPath(md5) }, line: /written by DVC 2/ },
    { files: { 'dvc.yaml': stage(), 'dvc.lock': "schema: '1.0'\n" }, line: /has not schema 2.0: 1.0/ },
  ],
  'entries of files in the cloud': [
    { files: { 'dvc.yaml': stage(), 'dvc.lock': ofPath(`hash: md5, ${md5}, cloud: {}`) }, line: /not supported in a lock.*cloud/ },
    { files: { 'dvc.yaml': stage(), 'dvc.lock': ofPath('hash: etag, etag: x') }, line: /not supported in a lock|hash is not md5/ },
  ],
  '`cache.shared`': ['[cache]\nshared = group', '[cache]\nverify = true', '[cache]\nlocal = x', '[core]\nhardlink_lock = true'].map(
    (config) => ({
      files: { 'dvc.yaml': stage(), '.dvc/config': `${config}\n` },
      line: /not supported in .dvc\/config: (cache|core)\./,
    }),
  ),
  'a `cache.dir` on another machine': [
    { files: { 'dvc.yaml': stage(), '.dvc/config': '[cache]\ndir = ssh://host/cache\n' }, line: /cache.dir|not supported/ },
  ],
};

/** Rows that are refused by other parts: the command line, and what draws. */
const elsewhere = ['`repro --pull`', 'templates of plots'];

const documented = readFileSync(resolve(import.meta.dirname, '../../docs/pipelines.md'), 'utf8')
  .split(/^(?=\| Refused )/m)
  .slice(1)
  .flatMap((table) => table.split('\n\n')[0]!.split('\n').slice(2))
  .map((row) => row.replace(/^\| /, '').trim())
  .filter((row) => row !== '');

describe('what is refused', () => {
  test('every row of the tables in docs/pipelines.md has a case, and every case its row', () => {
    const known = [...Object.keys(rows), ...elsewhere];
    expect(documented.filter((row) => !known.some((start) => row.startsWith(start)))).toEqual([]);
    expect(known.filter((start) => !documented.some((row) => row.startsWith(start)))).toEqual([]);
  });

  test.each(Object.entries(rows).flatMap(([row, cases]) => cases.map((one) => [row, one] as const)))(
    '%s',
    async (_row, { files, line, targets = [] }) => {
      const folder = project(files);
      const said = await repro({ folder, targets, environment: {}, since: '' }).then(
        ({ stages }) => stages.map(({ fault = '' }) => fault).join('\n'),
        (error: unknown) => (error instanceof UserError ? error.message : `not told to the user: ${String(error)}`),
      );
      expect(said).toMatch(line);
      expect(said).not.toContain('\n');
    },
  );
});

function project(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'clinfuse-refused-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  initProject(folder);
  for (const [path, text] of Object.entries({ in: 'hello', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}
