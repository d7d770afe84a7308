// Records what MLflow 3.17.2 answers to our client. Usage: node test/oracle/mlflow/record.ts MLFLOW_PROGRAM, after bench/peers/setup.sh.
// A server with an empty SQLite file is started on this machine; requests go through a proxy that writes both sides down.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { temporaryFolder, writeText } from '../../../src/base/files.ts';
import { startMlflow } from '../../long/mlflow-process.ts';
import { scenario } from './scenario.ts';

export type Exchange = {
  /** `POST /api/2.0/mlflow/runs/create`, with its query. */
  readonly request: string;
  /** JSON as sent; of a file its text. */
  readonly body: string;
  readonly status: number;
  readonly answer: string;
};

const [program] = process.argv.slice(2);
const scratch = temporaryFolder();
const mlflow = await startMlflow(program!, join(scratch.path, 'server'));
const exchanges: Exchange[] = [];
const proxy = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const type = request.headers['content-type'];
  const answered = await fetch(`${mlflow.uri}${request.url}`, {
    method: request.method!,
    ...(body.length > 0 && { body }),
    ...(type && { headers: { 'content-type': type } }),
  });
  const text = await answered.text();
  // Answers are kept in one line; what libraries of the server say of themselves is no matter of ours.
  const answer = text.startsWith('{') ? JSON.stringify(JSON.parse(text)) : text;
  exchanges.push({ request: `${request.method} ${request.url}`, body: body.toString(), status: answered.status, answer });
  response.writeHead(answered.status, { 'content-type': 'application/json' }).end(text);
});
await new Promise<void>((ready) => proxy.listen(0, '127.0.0.1', ready));
try {
  await scenario({ uri: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, folder: join(scratch.path, 'run') });
  await writeText(join(import.meta.dirname, 'exchanges.json'), `${JSON.stringify({ mlflow: '3.17.2', exchanges }, null, 1)}\n`);
  process.stdout.write(`${exchanges.length} exchanges\n`);
} finally {
  proxy.closeAllConnections();
  proxy.close();
  await mlflow.stop();
  scratch.remove();
}
