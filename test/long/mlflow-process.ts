// A real MLflow server on this machine, with an empty SQLite file.

import { spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join, resolve } from 'node:path';

export type MlflowProcess = { readonly uri: string; readonly stop: () => Promise<void> };

/** Starts the server and waits until it answers. */
export async function startMlflow(program: string, folder: string, port?: number): Promise<MlflowProcess> {
  mkdirSync(folder, { recursive: true });
  const place = resolve(folder);
  const at = port ?? (await freePort());
  const words = ['server', '--host', '127.0.0.1', '--port', String(at), '--workers', '1'];
  const stores = ['--backend-store-uri', `sqlite:///${place}/mlflow.db`, '--artifacts-destination', join(place, 'artifacts')];
  const log = openSync(join(place, 'server.log'), 'a');
  const env = { ...process.env, MLFLOW_TELEMETRY_DISABLED: 'true', DO_NOT_TRACK: 'true' };
  // A group of its own: the server starts others, which end with it.
  const server = spawn(program, [...words, ...stores], { stdio: ['ignore', log, log], env, cwd: place, detached: true });
  const uri = `http://127.0.0.1:${at}`;
  for (let second = 0; ; second++) {
    const isUp = await fetch(`${uri}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) break;
    if (second > 180 || server.exitCode !== null) throw new Error(`no MLflow server: see ${place}/server.log`);
    await new Promise((done) => setTimeout(done, 1000));
  }
  const stop = () =>
    new Promise<void>((done) => {
      server.once('exit', () => done());
      process.kill(-server.pid!, 'SIGKILL');
    });
  return { uri, stop };
}

function freePort(): Promise<number> {
  const probe = createServer();
  return new Promise((done) => {
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => done(port));
    });
  });
}
