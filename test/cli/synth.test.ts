// The data verbs as a user runs them: exit codes, one line per fault, nothing half-written, Ctrl-C.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { watch } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { population, temporaryFolder, writeCsv } from '../synth/csv-fixture.ts';
import { tree } from '../synth/run-folder-tree.ts';

const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

function er(words: readonly string[], environment: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'er', ...words], { encoding: 'utf8', env: environment });
  return { status, stdout, stderr };
}

/** Waits until something of that name stands in the folder. */
async function appears(folder: string, wanted: (name: string) => boolean): Promise<void> {
  for await (const _ of watch(folder)) if (readdirSync(folder).some(wanted)) return;
}

let work: string;
let csv: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'clinfuse-cli-'));
  csv = writeCsv(join(work, 'csv'), population(30));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('er ingest, segment, inject-errors', () => {
  test('three commands make a damaged run folder of CSV, older flag names included', () => {
    const [parquet, segmented, augmented] = ['parquet', 'segmented', 'augmented'].map((name) => join(work, name)) as [
      string,
      string,
      string,
    ];
    const ingested = er(['ingest', '--in', csv, '--out', parquet]);
    expect(ingested.stdout).toMatch(/^18 tables, [\d,]+ rows, 30 patients in .* s; /);
    const spread = er(['segment', '--input', parquet, '--output', segmented, '--assignment-seed', '7', '--confusable-pct', '10', '--json']);
    expect(JSON.parse(spread.stdout)).toMatchObject({ patients: 30, lookAlikePairs: 3 });
    const words = ['--min-errors', '1', '--max-errors', '2', '--error-weights', '{"missing_data": 1}', '--json', '--quiet'];
    const damaged = er(['inject-errors', '--in', segmented, '--out', augmented, '--error-seed', '7', ...words]);
    expect(damaged).toMatchObject({ status: 0, stderr: '' });
    expect(Object.keys(JSON.parse(damaged.stdout).errors.errors_by_type)).toEqual(['missing_field_value']);
    expect(readdirSync(augmented).sort()).toEqual(['facilities', 'metadata', 'statistics']);
  });

  test.each([
    { name: 'no input named', words: ['ingest', '--out', 'x'], says: 'required option not given: --in' },
    { name: 'an input that is not there', words: ['ingest', '--in', '/nowhere', '--out', 'x'], says: 'folder not found: /nowhere' },
    {
      name: 'weights that do not sum to 1',
      words: ['inject-errors', '--in', 'a', '--out', 'b', '--error-weights', '{"ssn_error": 0.5}'],
      says: 'weights must sum to 1, they sum to 0.5',
    },
    {
      name: 'a seed that is no number',
      words: ['segment', '--in', 'a', '--out', 'b', '--assignment-seed', 'x'],
      says: '--assignment-seed: not a number: x',
    },
    {
      name: 'a percentage above 100',
      words: ['segment', '--in', 'a', '--out', 'b', '--confusable-pct', '101'],
      says: 'must be from 0 to 100',
    },
    {
      name: 'a configuration that is not there',
      words: ['segment', '--in', 'a', '--out', 'b', '--config', '/no.yaml'],
      says: 'cannot be read: /no.yaml',
    },
    { name: 'a population of none', words: ['generate', '--out', 'x', '--population', '0'], says: 'population: must be 1 or more' },
    { name: 'a state that is none', words: ['generate', '--out', '/tmp/x', '--state', '--help me'], says: 'not a state: --help me' },
  ])('$name: one line, exit 2', ({ words, says }) => {
    const { status, stderr, stdout } = er(words);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(says);
  });

  test('a faulty file is named with its line, exit 2, and the earlier output stays', () => {
    const folder = temporaryFolder();
    const output = join(folder, 'out');
    expect(er(['ingest', '--in', csv, '--out', output, '--quiet']).status).toBe(0);
    const before = tree(output);
    const bad = writeCsv(join(folder, 'bad'), population(3), (table, text) => (table === 'claims' ? `${text}1,2\n` : text));
    const { status, stderr } = er(['ingest', '--in', bad, '--out', output, '--quiet']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^clinfuse: ingest: row with 2 columns instead of 31: .*claims\.csv, line \d+; .*\n$/);
    expect(tree(output)).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(['bad', 'out']);
  });

  test('an output folder that is not ours is left alone', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'thesis.txt'), 'mine');
    const { status, stderr } = er(['ingest', '--in', csv, '--out', folder]);
    expect(status).toBe(2);
    expect(stderr).toContain('thesis.txt');
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });

  test('an output that overlaps the input is refused', () => {
    expect(er(['ingest', '--in', csv, '--out', join(csv, 'out')]).stderr).toContain('overlaps the input');
  });

  test('an output that cannot be written is refused in one line', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    const { status, stderr } = er(['ingest', '--in', csv, '--out', join(folder, 'file', 'out'), '--quiet']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^clinfuse: output: cannot be written: .*\n$/);
  });

  test('a full disk is said to be full, and nothing stays behind', () => {
    const folder = temporaryFolder();
    // No disk to fill here: the shell limits how large a file may grow, which the system reports in the same way.
    const many = writeCsv(join(folder, 'csv'), population(2000));
    const script = 'trap "" XFSZ; ulimit -f 64; exec "$0" "$@"';
    const words = [process.execPath, main, 'er', 'ingest', '--in', many, '--out', join(folder, 'out'), '--quiet'];
    const { status, stderr } = spawnSync('bash', ['-c', script, ...words], { encoding: 'utf8' });
    expect(stderr).toMatch(/^clinfuse: output: disk full while writing .*\n$/);
    expect(status).toBe(2);
    expect(readdirSync(folder)).toEqual(['csv']);
  });

  test('Ctrl-C ends with 130, and the earlier output stays', async () => {
    const folder = temporaryFolder();
    const output = join(folder, 'out');
    mkdirSync(output);
    writeFileSync(join(output, 'patients.parquet'), 'earlier');
    const many = writeCsv(join(folder, 'csv'), population(6000));
    const child = spawn(process.execPath, [main, 'er', 'ingest', '--in', many, '--out', output], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (part: Buffer) => {
      stderr += part;
    });
    const ended = new Promise((done) => child.on('close', done));
    await appears(folder, (name) => name.includes('partial'));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(stderr).toContain('interrupted');
    expect(readFileSync(join(output, 'patients.parquet'), 'utf8')).toBe('earlier');
    expect(readdirSync(folder).sort()).toEqual(['csv', 'out']);
  });
});

describe('er generate', () => {
  /** A folder of programs to stand on PATH in place of the real ones: what Synthea prints and writes, in a shell script. */
  function programs(scripts: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
    const folder = temporaryFolder();
    for (const [name, body] of Object.entries(scripts)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    return { PATH: folder, HOME: folder };
  }
  const version = '[ "$1" = -version ] && exit 0';
  const argumentsTo = (file: string) => `echo "$@" > ${file}`;
  const writeTables = `for a in "$@"; do case "$a" in --exporter.baseDirectory=*) out="\${a#*=}";; esac; done
/bin/mkdir -p "$out/csv" && /bin/cp ${'$FIXTURE'}/*.csv "$out/csv/"
echo "1 -- Abel832 Price929 (10 y/o M) Carver, Massachusetts  (14794)"
echo "1 -- Ana1 Cruz2 (71 y/o F) Newton, Massachusetts DECEASED (105848)"
echo "2 -- Antonia30 Yundt842 (25 y/o F) Grafton, Massachusetts  (36649)"`;

  test('the release jar is run with pinned dates, and csv/ is what stays', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'synthea.jar'), '');
    const environment = { ...programs({ java: `${version}\n${argumentsTo(join(folder, 'said'))}\n${writeTables}` }), FIXTURE: csv };
    const output = join(folder, 'out');
    const words = [
      'generate',
      '--population',
      '2',
      '--seed',
      '5',
      '--state',
      'New York',
      '--out',
      output,
      '--synthea-jar',
      join(folder, 'synthea.jar'),
    ];
    const { status, stdout, stderr } = er([...words, '--json'], environment);
    expect(stderr).not.toContain('clinfuse:');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ living: 2, dead: 1 });
    expect(readdirSync(output)).toEqual(['csv']);
    expect(readdirSync(join(output, 'csv'))).toHaveLength(18);
    const said = readFileSync(join(folder, 'said'), 'utf8');
    expect(said).toContain(`-jar ${join(folder, 'synthea.jar')} -p 2 -s 5 -cs 5 -r 20260101 -e 20260101 New York`);
    expect(said).toContain('--exporter.csv.export=true --exporter.fhir.export=false');
  });

  test('without a jar, Maven finds the classpath once and keeps it', () => {
    const folder = temporaryFolder();
    const mvn = `[ "$1" = --version ] && exit 0\necho mvn >> ${join(folder, 'said')}\nprintf /bin/sh > classpath.txt`;
    const environment = { ...programs({ mvn, java: `${version}\n${writeTables}` }), FIXTURE: csv };
    for (let run = 0; run < 2; run++) {
      expect(er(['generate', '--population', '2', '--out', join(folder, 'out'), '--quiet'], environment)).toMatchObject({
        status: 0,
        stderr: '',
      });
    }
    expect(readFileSync(join(folder, 'said'), 'utf8')).toBe('mvn\n');
  });

  test.each<{ name: string; scripts: Record<string, string>; jar?: string; says: RegExp }>([
    {
      name: 'nothing to run it with',
      scripts: {},
      says: /no way to run Synthea; install Maven and Java 17, or Docker, or name its release jar/,
    },
    { name: 'a jar that is not there', scripts: {}, jar: '/no.jar', says: /Synthea jar not found: \/no\.jar/ },
    {
      name: 'no Java',
      scripts: { mvn: '[ "$1" = --version ] && exit 0; printf /bin/sh > classpath.txt' },
      says: /java not found; install Java 17/,
    },
    {
      name: 'Maven without a network',
      scripts: { mvn: '[ "$1" = --version ] && exit 0; echo "[ERROR] Unknown host repo"; exit 1' },
      says: /Maven could not fetch Synthea 3\.3\.0: \[ERROR\] Unknown host repo/,
    },
    {
      name: 'Synthea failing',
      scripts: { java: `${version}\necho Loading; echo "Exception: out of memory" >&2; exit 3` },
      jar: main,
      says: /Synthea failed \(exit 3\): .*Exception: out of memory/,
    },
    {
      name: 'a state Synthea does not know',
      scripts: { java: `${version}\necho "Unable to select a random city"` },
      jar: main,
      says: /made no people of Massachusetts: Unable to select a random city/,
    },
  ])('$name: one line that says what to do, exit 2, nothing written', ({ scripts, jar, says }) => {
    const folder = temporaryFolder();
    const { status, stderr } = er(
      ['generate', '--out', join(folder, 'out'), '--quiet', ...(jar ? ['--synthea-jar', jar] : [])],
      programs(scripts),
    );
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('Ctrl-C stops Synthea too, and leaves nothing', async () => {
    const folder = temporaryFolder();
    const pid = join(folder, 'pid');
    const life = 'echo "1 -- Abel832 Price929 (10 y/o M) Carver, Massachusetts  (14794)"';
    const environment = programs({ java: `${version}\necho $$ > ${pid}.new\n/bin/mv ${pid}.new ${pid}\n${life}\nexec /bin/sleep 600` });
    const words = [main, 'er', 'generate', '--population', '10', '--out', join(folder, 'out'), '--synthea-jar', main];
    const child = spawn(process.execPath, words, { stdio: 'ignore', env: environment });
    const ended = new Promise((done) => child.on('close', done));
    await appears(folder, (name) => name === 'pid');
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    // Killed, it may linger as a zombie until someone collects it: that runs no longer.
    const id = readFileSync(pid, 'utf8').trim();
    const runs = () => !/^(|Z.*)$/.test(spawnSync('ps', ['-o', 'stat=', '-p', id], { encoding: 'utf8' }).stdout?.trim() ?? '');
    for (let tries = 0; runs() && tries < 100; tries++);
    expect(runs()).toBe(false);
    expect(existsSync(join(folder, 'out'))).toBe(false);
    expect(readdirSync(folder)).toEqual(['pid']);
  });
});
