// The registry on an MLflow server: the same models, versions, tags and champion, for those who look there. The folder decides, the server
// follows.
//
// What is missing there is found by comparing, not remembered as a list of things to do: every version without a note that it was sent is
// sent, then the alias is set. So a server that was away when a model was promoted gets it with the next push, whoever makes it.
// A push that is cut off between sending and noting sends again: the server knows a version by its key and takes none twice.
//
//   models-registry/evidence/mirrored/HASH-OF-ADDRESS/3/server.json   {"address": ..., "version": 7}: our 3 is its 7

import { hashText } from '../base/content-hash.ts';
import type { MlflowClient } from './mlflow-client.ts';
import { createVersion, getAlias, registerModel, setAlias } from './mlflow-registry.ts';
import { batchBody, createRun, experimentId, logBatch, runsTagged, type ServerRun, updateRun } from './mlflow-runs.ts';
import { championAlias, championOf } from './promotion.ts';
import { type ModelVersion, modelNames, noteSent, readVersions, sentVersion, versionFiles } from './registry.ts';
import { jsonNumber } from './run-events.ts';

/** What a push has sent: versions, and champions that had moved. */
export type Mirrored = { readonly versions: number; readonly champions: number };

/**
 * Sends what the server does not have yet: versions with their files, figures as tags, champions.
 *
 * @throws UserError `mlflow.*`; what was sent until then stays sent
 */
export async function mirrorRegistry(registry: string, client: MlflowClient): Promise<Mirrored> {
  let [versions, champions] = [0, 0];
  for (const name of modelNames(registry)) {
    await registerModel(client, name);
    for (const version of readVersions(registry, name)) {
      if (sentVersion(registry, version, client.address) !== undefined) continue;
      const number = await send(registry, version, client);
      await noteSent(registry, version, { address: client.address, version: number });
      versions += 1;
    }
    const champion = championOf(registry, name);
    const theirs = champion && sentVersion(registry, champion, client.address);
    if (theirs === undefined || (await getAlias(client, { name, alias: championAlias }))?.version === theirs) continue;
    await setAlias(client, { name, alias: championAlias, version: theirs });
    champions += 1;
  }
  return { versions, champions };
}

/** A version there belongs to a run, which keeps its files and figures. Each step may be done again. Its number there. */
async function send(registry: string, version: ModelVersion, client: MlflowClient): Promise<number> {
  const { name, figures, sha256, dataset, run: madeBy } = version;
  const told = Object.entries(figures).map(([figure, value]) => [figure, String(jsonNumber(value))] as const);
  const key = hashText(JSON.stringify([name, sha256, told, dataset]));
  const run = await runOf(client, version, key);
  const { run_id: runId } = run.info;
  if (run.info.status !== 'FINISHED') await fill(registry, version, run, client);
  const about = { version: String(version.version), sha256, source: version.source, dataset, run: madeBy };
  const tags = Object.entries(about).flatMap(([tag, value]) => (value === null ? [] : [[`clinfuse.${tag}`, value] as const]));
  return createVersion(client, { name, source: `runs:/${runId}/model`, runId, key, tags: Object.fromEntries([...told, ...tags]) });
}

/** Files and figures of a version into its run, which is then finished. */
async function fill(
  registry: string,
  version: ModelVersion,
  { info: { run_id: id, artifact_uri: root } }: ServerRun,
  client: MlflowClient,
) {
  const place = /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.+?)\/*$/.exec(root)?.[1];
  // Servers that keep files elsewhere take none: then figures, hash and champion are all there is.
  if (place) for (const { path, file } of versionFiles(registry, version)) await client.put(`${place}/model/${path}`, { file });
  const time = Date.parse(version.time);
  const metrics = Object.entries(version.figures).map(([key, value]) => ({ key, value, time, step: 0 }));
  await logBatch(client, async () => batchBody(id, { params: [], metrics, tags: [] }));
  await updateRun(client, { run_id: id, status: 'FINISHED', end_time: time });
}

async function runOf(client: MlflowClient, { name, version, time }: ModelVersion, key: string): Promise<ServerRun> {
  const experiment = await experimentId(client, experimentName);
  const find = async () => (await runsTagged(client, { experiments: [experiment], key: keyTag, value: key }))[0];
  const body = {
    experiment_id: experiment,
    run_name: `${name} version ${version}`,
    start_time: Date.parse(time),
    tags: [{ key: keyTag, value: key }],
  };
  const found = await find();
  if (found) return found;
  let late: ServerRun | undefined;
  const made = await createRun(client, async (attempt) => (attempt > 0 && (late = await find()) ? undefined : body));
  return made?.run ?? late!;
}

const experimentName = 'clinfuse-registry';
const keyTag = 'clinfuse.registry_key';
