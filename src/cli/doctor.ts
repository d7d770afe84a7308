import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { type ProviderState, providerStates, runtimeVersion } from '../graph/session.ts';
import { Database } from '../sql/duckdb.ts';
import { cacheFolder } from './cache-folder.ts';
import { verb } from './verb.ts';

/** What this machine has to work with. Bytes are bytes; a part that does not load says why instead of its version. */
type Findings = {
  readonly clinfuse: string;
  readonly node: { readonly version: string; readonly platform: string; readonly arch: string };
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly freeMemoryBytes: number;
  };
  readonly duckdb: Loaded<{ readonly version: string }>;
  readonly onnxRuntime: Loaded<{ readonly version: string; readonly providers: readonly ProviderState[] }>;
  readonly cache: { readonly folder: string; readonly exists: boolean; readonly freeBytes: number };
};

type Loaded<T> = T | { readonly fault: string };

/** `clinfuse doctor`: what works on this machine, and how to get what does not. */
export function doctorCommand(version: string): Command {
  return verb({
    name: 'doctor',
    summary: 'what works on this machine, and how to get what does not',
    example: 'clinfuse doctor',
    options: [],
    schema: z.strictObject({}),
    run: async () => {
      const findings = await examine(version);
      return { text: describe(findings), json: findings };
    },
  });
}

async function examine(version: string): Promise<Findings> {
  const folder = cacheFolder();
  return {
    clinfuse: version,
    node: { version: process.versions.node, platform: process.platform, arch: process.arch },
    machine: {
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      freeMemoryBytes: freemem(),
    },
    duckdb: await loaded(async () => {
      await using database = await Database.open();
      const [row] = await database.rows<{ version: string }>('select version() as version');
      return { version: row!.version.replace(/^v/, '') };
    }),
    onnxRuntime: await loaded(async () => ({ version: runtimeVersion(), providers: await providerStates() })),
    cache: { folder, exists: existsSync(folder), freeBytes: freeBytes(folder) },
  };
}

/** Native parts fail to load in many ways; here that is a finding, not an end. */
async function loaded<T>(look: () => Promise<T>): Promise<Loaded<T>> {
  try {
    return await look();
  } catch (error) {
    const deepest = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { fault: deepest instanceof Error ? deepest.message.split('\n')[0]! : String(deepest) };
  }
}

/** Free room where a folder is, or will be. */
function freeBytes(folder: string): number {
  let place = folder;
  while (!existsSync(place)) place = dirname(place);
  const { bavail, bsize } = statfsSync(place);
  return bavail * bsize;
}

function describe({ clinfuse, node, machine, duckdb, onnxRuntime, cache }: Findings): string {
  const rows: (readonly [string, string])[] = [
    ['clinfuse', clinfuse],
    ['Node', `${node.version}, ${node.platform} ${node.arch}`],
    ['processor', `${machine.processor}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`],
    ['memory', `${gigabytes(machine.memoryBytes)}, ${gigabytes(machine.freeMemoryBytes)} free`],
    ['DuckDB', 'fault' in duckdb ? reinstall(duckdb.fault) : duckdb.version],
    ['ONNX Runtime', 'fault' in onnxRuntime ? reinstall(onnxRuntime.fault) : onnxRuntime.version],
    ...('fault' in onnxRuntime ? [] : onnxRuntime.providers.map((one) => [`  ${one.name}`, stateOf(one)] as const)),
    ['cache', `${cache.folder}${cache.exists ? '' : ' (not made yet)'}, ${gigabytes(cache.freeBytes)} free`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}   ${value}`).join('\n');
}

const stateOf = ({ works, installed, needs }: ProviderState): string => {
  if (works) return 'works';
  return `${installed ? 'installed, does not start' : 'not installed'}; needs ${needs}`;
};

const reinstall = (fault: string): string => `does not load: ${fault}; npm install brings it for Linux, macOS and Windows`;

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
