// What is recorded, and replayed: a run with everything a log can hold is pushed, and pushed again; then a model is registered.

import { join } from 'node:path';

import { openMlflow } from '../../../src/training/mlflow-client.ts';
import { openPush, type Pushed } from '../../../src/training/mlflow-push.ts';
import { createVersion, getAlias, registerModel, setAlias, setVersionTag } from '../../../src/training/mlflow-registry.ts';
import { writeTrackedRun } from '../../training/tracked-run.ts';

export async function scenario({ uri, folder }: { readonly uri: string; readonly folder: string }) {
  await writeTrackedRun(folder);
  const client = openMlflow({ uri, tries: 1 });
  const push = async (): Promise<Pushed> => {
    const pushing = openPush(join(folder, 'log'), { client, isRunning: () => true });
    try {
      return await pushing.push();
    } finally {
      pushing.close();
    }
  };
  const [first, second] = [await push(), await push()];

  const name = 'gray-zone';
  const alias = { name, alias: 'champion' };
  await registerModel(client, name);
  await registerModel(client, name);
  const none = await getAlias(client, alias);
  const source = `mlflow-artifacts:/${first.experimentId}/${first.runId}/artifacts/adapter`;
  const version = { name, source, runId: first.runId, key: 'sha256-1', tags: { eval_f1: '0.9' } };
  const versions = [await createVersion(client, version), await createVersion(client, version)];
  versions.push(await createVersion(client, { ...version, key: 'sha256-2' }));
  await setVersionTag(client, { name, version: 1, key: 'promoted', value: 'true' });
  await setAlias(client, { ...alias, version: 2 });
  await setAlias(client, { ...alias, version: 1 });
  const champion = await getAlias(client, alias);
  const missing = await getAlias(client, { name: 'nobody', alias: 'champion' });
  return { first, second, none, versions, champion, missing };
}
