import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { program } from '../src/cli/program.ts';

const root = resolve(import.meta.dirname, '..');
const documents = [
  ...readdirSync(root),
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(root, 'models')).map((name) => `models/${name}`),
]
  .filter((name) => name.endsWith('.md'))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const blocks = (language: string) =>
  documents.flatMap(({ path, text }) =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((match) => ({ path, code: match[1]! })),
  );

const folder = mkdtempSync(join(root, 'test', '.snippets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('documents', () => {
  const commands = blocks('sh').flatMap(({ path, code }) =>
    code
      .replaceAll('\\\n', ' ')
      .split('\n')
      .filter((line) =>
        /\bclinfuse( --)? (er |link |llm |job |registry |runs |params |metrics |plots |(doctor|repro|dag|status)\b)/.test(line),
      )
      .map((line) => ({ path, line: line.replace(/#.*/, '').trim() })),
  );

  test.each(commands)('$path: $line exists, with these options', async ({ line }) => {
    const [name, ...words] = line
      .replace(/^.*?\bclinfuse( --)? (?=er |link |llm |job |registry |runs |params |metrics |plots |(doctor|repro|dag|status)\b)/, '')
      .split(/\s+/);
    // An area holds verbs or areas; a verb that stands alone has none above it.
    let verb = (await program([name!])).commands.find((one) => one.name() === name)!;
    for (const word of words) {
      if (verb.commands.length === 0) break;
      const next = verb.commands.find((one) => one.name() === word);
      expect(next?.name()).toBe(word);
      verb = next!;
    }
    expect(verb.commands.map((one) => one.name())).toEqual([]);
    const known = [...verb.options.map((option) => option.long), '--help'];
    expect(words.filter((word) => word.startsWith('--')).filter((flag) => !known.includes(flag))).toEqual([]);
  });

  const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts;
  const named = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/npm run (?:-s )?([\w:]+)/g)].map((match) => ({ path, script: match[1]! })),
  );

  test('every npm script that a document names exists', () => {
    expect(named.filter(({ script }) => !(script in scripts))).toEqual([]);
  });

  test.each(blocks('ts').map(({ path, code }, i) => ({ path, code, i })))('$path: snippet $i runs', ({ code, i }) => {
    const file = join(folder, `snippet-${i}.ts`);
    writeFileSync(file, code.replaceAll("'clinfuse'", "'../../src/index.ts'"));
    const run = spawnSync(process.execPath, [file], { cwd: root, encoding: 'utf8' });
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
  });

  const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));

  test.each(examples)('examples/%s runs, and is short enough to read at once', (name) => {
    const file = join(root, 'examples', name);
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThanOrEqual(60);
    const run = spawnSync(process.execPath, [file], { cwd: root, encoding: 'utf8' });
    expect(run.stderr).toBe('');
    expect(run.status).toBe(0);
    expect(run.stdout).not.toBe('');
  });

  const links = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)\s#]+)/g)].map((match) => ({ path, target: match[1]! })),
  );

  test('links between documents lead somewhere', () => {
    expect(links.filter(({ path, target }) => !existsSync(join(root, dirname(path), target)))).toEqual([]);
  });
});
