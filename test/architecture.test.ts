import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

// Highest row first. A folder may import from rows below its own and from itself, never sideways or upward.
const rows = [
  ['cli'],
  ['server'],
  ['apps'],
  ['evidence', 'training', 'synth', 'linkage', 'evaluation', 'remote'],
  ['records', 'models'],
  ['sql', 'graph', 'charts'],
  ['base'],
];
/** `pipeline` stands beside the rows: it may import only base. */
const rowOf = (folder: string) => (folder === 'pipeline' ? rows.length - 2 : rows.findIndex((row) => row.includes(folder)));

/** What only these places may touch: the process, sockets, native modules, threads. */
const borders: readonly { readonly what: string; readonly pattern: RegExp; readonly allowed: RegExp }[] = [
  { what: '@duckdb/node-api', pattern: /from '@duckdb\//, allowed: /^sql\/duckdb\.ts$/ },
  { what: 'onnxruntime', pattern: /from 'onnxruntime|import\('onnxruntime/, allowed: /^graph\/session\.ts$/ },
  { what: 'worker threads', pattern: /from 'node:worker_threads'/, allowed: /^(linkage\/worker|sql\/parquet-worker)s?\.ts$/ },
  { what: 'vega and resvg', pattern: /from '(vega|vega-lite|@resvg\/resvg-js)'/, allowed: /^charts\/render\.ts$/ },
  {
    what: 'child processes',
    pattern: /from 'node:child_process'/,
    allowed: /^(cli\/|synth\/generate|pipeline\/shell\.ts|remote\/(command|ssh)-target\.ts)/,
  },
  {
    what: 'process',
    pattern: /\bprocess\.(?!pid\b)/,
    allowed: /^(cli|server)\/|^sql\/duckdb\.ts$|^linkage\/worker(s)?\.ts$|^pipeline\/shell\.ts$/,
  },
  { what: '@huggingface/hub', pattern: /from '@huggingface\/hub'|import\('@huggingface\/hub'/, allowed: /^models\/hub\.ts$/ },
  { what: 'fetch', pattern: /\bfetch\(/, allowed: /^(models\/hub|training\/mlflow-client|remote\/runpod-api)\.ts$/ },
  {
    what: 'the hub',
    pattern: /from '[./]+\/models\/hub\.ts'/,
    allowed:
      /^models\/(pull|push-files)\.ts$|^cli\/llm\/hub-access\.ts$|^apps\/entity-resolution\/llm\/hub-questions\.ts$|^remote\/(hub-transport|hub-worker|runpod-target)\.ts$/,
  },
  { what: 'sockets', pattern: /from 'node:(http|https|net|tls|dgram)'/, allowed: /^(cli|server)\// },
];

type Source = { readonly path: string; readonly folder: string; readonly text: string; readonly imports: readonly string[] };

const sources: readonly Source[] = walk(src).map((file) => {
  const text = readFileSync(file, 'utf8');
  const path = relative(src, file);
  const imports = [...text.matchAll(/(?:from|import)\s+'(\.[^']+)'/g)].map((match) => relative(src, resolve(dirname(file), match[1]!)));
  return { path, folder: path.includes('/') ? path.split('/')[0]! : '.', text, imports };
});

describe('architecture', () => {
  test('every folder has its place in the layer table', () => {
    const unknown = new Set(sources.map(({ folder }) => folder).filter((folder) => folder !== '.' && rowOf(folder) < 0));
    expect([...unknown]).toEqual([]);
  });

  test('imports go only downward', () => {
    const upward = sources.flatMap(({ path, folder, imports }) =>
      imports
        .filter((target) => {
          const to = target.split('/')[0]!;
          if (folder === '.' || to === folder) return false;
          return folder === 'pipeline' ? to !== 'base' : rowOf(to) <= rowOf(folder);
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(upward).toEqual([]);
  });

  test('applications do not know each other; they stand on apps/llm, which knows none', () => {
    const sideways = sources.flatMap(({ path, imports }) => {
      const own = path.match(/^apps\/([^/]+)/)?.[1];
      return own
        ? imports
            .filter((target) => target.startsWith('apps/') && !target.startsWith(`apps/${own}/`) && !target.startsWith('apps/llm/'))
            .map((target) => `${path} -> ${target}`)
        : [];
    });
    expect(sideways).toEqual([]);
  });

  test('no import cycles', () => {
    const graph = new Map(sources.map(({ path, imports }) => [path, imports]));
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === 'open') cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      if (state.has(path)) return;
      state.set(path, 'open');
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      state.set(path, 'done');
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  test('native modules, threads, processes and sockets stay at their borders', () => {
    const strays = sources.flatMap(({ path, text }) => {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      return borders.filter(({ pattern, allowed }) => pattern.test(code) && !allowed.test(path)).map(({ what }) => `${path}: ${what}`);
    });
    expect(strays).toEqual([]);
  });

  test('no code file is longer than 500 lines', () => {
    const files = [...sources.map(({ path, text }) => ({ path: `src/${path}`, text })), ...codeOutsideSrc()];
    expect(files.filter(({ text }) => text.split('\n').length > 501).map(({ path }) => path)).toEqual([]);
  });

  test('files are named by what they hold, never utils', () => {
    expect(sources.map(({ path }) => path).filter((path) => /util|helper|misc|common\.ts/i.test(path) || /[A-Z_]/.test(path))).toEqual([]);
  });

  test('only the top folder re-exports', () => {
    expect(sources.map(({ path }) => path).filter((path) => path.endsWith('/index.ts'))).toEqual([]);
  });

  test('nothing speaks of one machine or of a registry host', () => {
    const told = [...sources.map(({ path, text }) => ({ path: `src/${path}`, text })), ...codeOutsideSrc(), ...documents()]
      .filter(({ path }) => path !== 'test/architecture.test.ts')
      .filter(({ text }) => /(?<![\w.])\/(work|root|farm)\/|registry\.npmjs\.org|pypi\.org\/simple|repo1?\.maven/.test(text))
      .map(({ path }) => path);
    expect(told).toEqual([]);
  });
});

function walk(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? walk(path) : /\.(ts|mts|mjs)$/.test(name) ? [path] : [];
    });
}

function codeOutsideSrc() {
  return ['test', 'bench', 'scripts', 'examples']
    .flatMap((folder) => walk(join(root, folder)))
    .map((file) => ({ path: relative(root, file), text: readFileSync(file, 'utf8') }));
}

function documents() {
  const inDocs = readdirSync(join(root, 'docs')).map((name) => join('docs', name));
  const atTop = readdirSync(root).filter((name) => name.endsWith('.md'));
  return [...inDocs, ...atTop]
    .filter((path) => path.endsWith('.md'))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}
