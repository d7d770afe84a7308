import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { openMlflow } from '../../src/training/mlflow-client.ts';
import { promote } from '../../src/training/promotion.ts';
import { mirrorRegistry } from '../../src/training/registry-mirror.ts';
import { cutAfter, cutBefore, cutWithin, type MlflowServer, mlflowServer, status } from './mlflow-server.ts';

let home: string;
let registry: string;
let server: MlflowServer;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-mirror-'));
  registry = join(home, 'registry');
  server = await mlflowServer();
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

async function challenge(content: string, f1: number) {
  const candidate = join(home, 'weights');
  writeFileSync(candidate, content);
  return promote({ registry, name: 'm', candidate, figures: { eval_f1: f1 }, dataset: 'd', metric: 'f1', time: new Date('2026-01-02') });
}
const push = (tries = 6) => mirrorRegistry(registry, openMlflow({ uri: server.uri, wait: async () => {}, timeoutMs: 2000, tries }));

/** What the server holds, without its own numbers of runs. */
const held = () =>
  [...server.models].map(([name, { versions, aliases }]) => ({
    name,
    champion: aliases.get('champion'),
    versions: versions.map(({ version, run_id, tags }) => {
      const run = server.runs.find(({ info }) => info.run_id === run_id)!;
      return {
        version,
        figures: run.metrics.map(({ key, value }) => `${key} ${value}`),
        file: server.artifacts.get(`${run.info.experiment_id}/${run_id}/artifacts/model/weights`),
        tags: Object.fromEntries(tags.map(({ key, value }) => [key, value.slice(0, 10)])),
      };
    }),
  }));

describe('the registry on a server', () => {
  test('versions come with files, figures and tags; the champion is the folder’s; a second push sends nothing', async () => {
    await challenge('good', 0.8);
    await challenge('worse', 0.7);
    expect(await push()).toEqual({ versions: 2, champions: 1 });
    expect(held()).toMatchObject([
      {
        name: 'm',
        champion: '1',
        versions: [
          {
            version: '1',
            figures: ['eval_f1 0.8'],
            file: 'good',
            tags: { eval_f1: '0.8', 'clinfuse.version': '1', 'clinfuse.dataset': 'd' },
          },
          { version: '2', figures: ['eval_f1 0.7'], file: 'worse', tags: { eval_f1: '0.7', 'clinfuse.version': '2' } },
        ],
      },
    ]);
    expect(await push()).toEqual({ versions: 0, champions: 0 });
    await challenge('better', 0.9);
    expect(await push()).toEqual({ versions: 1, champions: 1 });
    expect(held()[0]!.champion).toBe('3');
  });

  test('numbers there may differ from ours, and lost notes do no harm', async () => {
    server.models.set('m', { versions: [{ version: '1', source: 'another', tags: [] }], aliases: new Map([['champion', '1']]) });
    await challenge('good', 0.8);
    await push();
    expect(server.models.get('m')!.aliases.get('champion')).toBe('2');
    rmSync(join(registry, 'm', 'mirrored'), { recursive: true });
    expect(await push()).toEqual({ versions: 1, champions: 0 });
    expect(server.models.get('m')!.versions).toHaveLength(2);
    expect(server.runs.map(({ metrics }) => metrics.length)).toEqual([1]);
  });

  test('a server that is away loses nothing: the next push sends it all', async () => {
    await challenge('good', 0.8);
    server.fail(...Array.from({ length: 3 }, () => status(503)));
    await expect(push(3)).rejects.toThrow(/^mlflow: /);
    await challenge('better', 0.9);
    expect(await push()).toEqual({ versions: 2, champions: 1 });
    expect(held()[0]!.champion).toBe('2');
  });

  test.each([
    ['before', cutBefore],
    ['in', cutWithin],
    ['after', cutAfter],
  ])('connections cut %s any request: pushed again, every version is there once, with its files', async (_, fault) => {
    await challenge('good', 0.8);
    await challenge('worse', 0.7);
    // As many requests as a push without faults takes, and some to spare.
    for (let at = 0; at < 26; at++) {
      server.fail(...Array.from({ length: at }, () => undefined), fault);
      try {
        await push(1);
        server.fail();
      } catch {
        server.fail();
        await push(1);
      }
      const [model] = held();
      expect({ at, champion: model!.champion, files: model!.versions.map(({ file }) => file) }).toEqual({
        at,
        champion: '1',
        files: ['good', 'worse'],
      });
      server.models.clear();
      server.runs.length = 0;
      server.artifacts.clear();
      rmSync(join(registry, 'm', 'mirrored'), { recursive: true });
    }
  });
});
