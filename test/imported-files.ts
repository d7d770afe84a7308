import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

/** Files of the repository that run when a module does: what it imports, and what that imports. Types alone do not run. */
export function importedFiles(root: string, module: string): string[] {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const next of importsOf(file)) visit(next);
  };
  visit(resolve(root, module));
  return [...seen].map((file) => relative(root, file)).sort();
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s+(?<type>type\s)?(?<names>[^;'"]*?)\s*from\s+'(?<from>\.[^']+)';/gm);
  const values = [...statements]
    .filter(({ groups }) => !groups!['type'] && !onlyTypes(groups!['names']!))
    .map(({ groups }) => groups!['from']!);
  const loaded = [...text.matchAll(/(?:import|new URL)\('(\.[^']+)'/g)].map(([, from]) => from!);
  return [...values, ...loaded].filter((from) => from.endsWith('.ts')).map((from) => resolve(dirname(file), from));
}

/** `{ type A, type B }`: gone when types are stripped. */
function onlyTypes(names: string): boolean {
  if (!names.startsWith('{')) return false;
  return names
    .slice(1, -1)
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
    .every((name) => name.startsWith('type '));
}
