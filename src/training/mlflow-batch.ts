// Params, tags and figures on their way to a server, gathered into requests as large as MLflow allows.

import { batchBody, keyOf, limits, logBatch } from './mlflow-runs.ts';
import { type Asking, isThere, know, look, pushedTag, type Target } from './mlflow-target.ts';
import type { Metric } from './tracking.ts';

/** One thing to send. */
export type Entry =
  | { readonly kind: 'param' | 'tag'; readonly key: string; readonly value: string }
  | { readonly kind: 'metric'; readonly metric: Metric };

export type Outbox = {
  /** Takes one thing of a line of the log, unless the server has it. A full request goes out first. */
  readonly add: (entry: Entry, line: number) => Promise<void>;
  /** Sends what is gathered; the server then has all lines up to this one. */
  readonly flush: (upTo: number) => Promise<void>;
  /** Figures sent. */
  readonly metrics: () => number;
};

type Gathered = {
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
  /** By key and step. */
  readonly metrics: Map<string, Metric>;
  bytes: number;
};

const nothing = (): Gathered => ({ params: new Map(), tags: new Map(), metrics: new Map(), bytes: 0 });

export function openOutbox(target: Target, asking: Asking): Outbox {
  const run = target.run.info.run_id;
  let gathered = nothing();
  let count = 0;

  const flush = async (upTo: number) => {
    const { params, tags, metrics } = gathered;
    tags.set(pushedTag, String(upTo));
    let missing = [...metrics.values()];
    const body = async (attempt: number) => {
      if (attempt > 0) {
        // The request before may have been carried out.
        await look(
          target,
          missing.map(({ key }) => key),
          asking,
        );
        missing = missing.filter((metric) => !isThere(target, metric));
      }
      return batchBody(run, { params: pairsOf(params), metrics: missing, tags: pairsOf(tags) });
    };
    await logBatch(asking.client, body, asking.signal);
    for (const metric of metrics.values()) know(target, metric);
    for (const [key, value] of params) target.params.set(key, value);
    count += metrics.size;
    target.events = upTo;
    gathered = nothing();
  };

  return {
    add: async (entry, line) => {
      const wanted = missingPart(entry, target, gathered);
      if (!wanted) return;
      const bytes = Buffer.byteLength(JSON.stringify(wanted)) + 60;
      if (isFull(gathered, bytes)) await flush(line - 1);
      gathered.bytes += bytes;
      if (wanted.kind !== 'metric') gathered[wanted.kind === 'param' ? 'params' : 'tags'].set(wanted.key, wanted.value);
      else gathered.metrics.set(pointOf(wanted.metric), wanted.metric);
    },
    flush,
    metrics: () => count,
  };
}

/** Nothing of what is there already; a param of another value becomes a tag, as params are write-once. */
function missingPart(entry: Entry, target: Target, { params, metrics }: Gathered): Entry | undefined {
  if (entry.kind === 'tag') return entry;
  if (entry.kind === 'metric') return isThere(target, entry.metric) || metrics.has(pointOf(entry.metric)) ? undefined : entry;
  const known = target.params.get(entry.key) ?? params.get(entry.key);
  if (known === undefined) return entry;
  return known === entry.value ? undefined : { kind: 'tag', key: keyOf(`param.${entry.key}`), value: entry.value };
}

/** Whether one more may not fit, beside the tag that counts lines. */
function isFull({ params, tags, metrics, bytes }: Gathered, more: number): boolean {
  const entities = params.size + tags.size + metrics.size + 2;
  const isMany = params.size >= limits.params || tags.size + 2 > limits.tags || entities > limits.entities;
  return isMany || bytes + more > limits.bytes;
}

const pointOf = ({ key, step }: Metric): string => `${step} ${key}`;

const pairsOf = (values: ReadonlyMap<string, string>) => [...values].map(([key, value]) => ({ key, value }));
