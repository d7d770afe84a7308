// Registered models of an MLflow server, their versions, aliases and tags; names as MLflow's. Each may be called again without harm.

import { z } from 'zod';

import type { MlflowClient } from './mlflow-client.ts';
import { isCode } from './mlflow-runs.ts';

const anything = z.looseObject({});
const pair = z.object({ key: z.string(), value: z.string().default('') });
const modelVersion = z.object({ version: z.coerce.number(), tags: z.array(pair).default([]) });

/** Tag by which a version is known again. */
const keyTag = 'clinfuse.version_key';

/** Makes a registered model, where there is none of the name. */
export async function registerModel(client: MlflowClient, name: string): Promise<void> {
  try {
    await client.call({ method: 'POST', path: 'registered-models/create', body: { name }, schema: anything });
  } catch (cause) {
    if (!isCode(cause, 'mlflow.exists')) throw cause;
  }
}

/**
 * Makes a version, unless the model has one of this key.
 *
 * @param options.source where its files are: `runs:/RUN/adapter`, `mlflow-artifacts:/1/RUN/artifacts/adapter`
 * @param options.key names what is registered, a hash say: the same key is the same version
 * @returns its number
 */
export async function createVersion(
  client: MlflowClient,
  {
    name,
    source,
    runId,
    key,
    tags = {},
  }: {
    readonly name: string;
    readonly source: string;
    readonly runId?: string;
    readonly key: string;
    readonly tags?: Readonly<Record<string, string>>;
  },
): Promise<number> {
  const all = Object.entries({ ...tags, [keyTag]: key }).map(([key, value]) => ({ key, value }));
  let found = await versionOf(client, name, key);
  if (found !== undefined) return found;
  const made = await client.call({
    method: 'POST',
    path: 'model-versions/create',
    body: async (attempt) => {
      if (attempt > 0) found = await versionOf(client, name, key);
      return found === undefined ? { name, source, ...(runId !== undefined && { run_id: runId }), tags: all } : undefined;
    },
    schema: z.object({ model_version: modelVersion }),
  });
  return made?.model_version.version ?? found!;
}

async function versionOf(client: MlflowClient, name: string, key: string): Promise<number | undefined> {
  const schema = z.object({ model_versions: z.array(modelVersion).default([]), next_page_token: z.string().optional() });
  const filter = `name = '${name.replaceAll("'", "''")}' and tags.\`${keyTag}\` = '${key.replaceAll("'", "''")}'`;
  const found = await client.call({ method: 'GET', path: 'model-versions/search', query: { filter, max_results: '10' }, schema });
  const versions = found!.model_versions.filter(({ tags }) => tags.some((tag) => tag.key === keyTag && tag.value === key));
  return versions.length > 0 ? Math.min(...versions.map(({ version }) => version)) : undefined;
}

export async function setVersionTag(
  client: MlflowClient,
  { name, version, key, value }: { readonly name: string; readonly version: number; readonly key: string; readonly value: string },
): Promise<void> {
  const body = { name, version: String(version), key, value };
  await client.call({ method: 'POST', path: 'model-versions/set-tag', body, schema: anything });
}

/** Points an alias at a version; it leaves the one it pointed at. */
export async function setAlias(
  client: MlflowClient,
  { name, alias, version }: { readonly name: string; readonly alias: string; readonly version: number },
): Promise<void> {
  const body = { name, alias, version: String(version) };
  await client.call({ method: 'POST', path: 'registered-models/alias', body, schema: anything });
}

/** The version an alias points at, with its tags; nothing where the model or the alias is not there. */
export async function getAlias(
  client: MlflowClient,
  { name, alias }: { readonly name: string; readonly alias: string },
): Promise<{ readonly version: number; readonly tags: Readonly<Record<string, string>> } | undefined> {
  const schema = z.object({ model_version: modelVersion });
  try {
    const found = await client.call({ method: 'GET', path: 'registered-models/alias', query: { name, alias }, schema });
    const { version, tags } = found!.model_version;
    return { version, tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])) };
  } catch (cause) {
    // An alias that is not there is told as a parameter of no value.
    if (isCode(cause, 'mlflow.not-found') || /alias .*not found/i.test((cause as Error).message)) return undefined;
    throw cause;
  }
}
