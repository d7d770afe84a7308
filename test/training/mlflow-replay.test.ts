import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Exchange } from '../oracle/mlflow/record.ts';
import { scenario } from '../oracle/mlflow/scenario.ts';

const recorded = JSON.parse(readFileSync(resolve(import.meta.dirname, '../oracle/mlflow/exchanges.json'), 'utf8')) as {
  exchanges: Exchange[];
};
const left = [...recorded.exchanges];
const unknown: string[] = [];
/** Answers as MLflow did to the same request, each time it was made; any other is refused. */
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const [line, body] = [`${request.method} ${request.url}`, Buffer.concat(chunks).toString()];
  const at = left.findIndex((one) => one.request === line && one.body === body);
  if (at < 0) unknown.push(`${line} ${body}`);
  const [found] = at < 0 ? [] : left.splice(at, 1);
  response.writeHead(found?.status ?? 418).end(found?.answer);
});
const home = mkdtempSync(join(tmpdir(), 'clinfuse-replay-'));

beforeAll(() => new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready)));
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(home, { recursive: true, force: true });
});

describe('against what MLflow 3.17.2 answered', () => {
  test('a run and a model take the requests that were recorded, no other, and read the answers', async () => {
    const outcome = await scenario({ uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, folder: home });
    expect(unknown).toEqual([]);
    expect(left.map(({ request }) => request)).toEqual([]);
    expect(outcome).toMatchObject({
      first: { events: 20, metrics: 14, files: 2, left: [], runId: expect.stringMatching(/^[\da-f]{32}$/) },
      second: { events: 20, metrics: 0, files: 0, runId: outcome.first.runId },
      none: undefined,
      versions: [1, 1, 2],
      champion: { version: 1, tags: { eval_f1: '0.9', promoted: 'true' } },
      missing: undefined,
    });
  });
});
