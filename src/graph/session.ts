// The only file that knows ONNX Runtime. A session is a compiled graph; weights are not in it but come as inputs with every run, used
// where they lie, so one session serves every layer of a shape.

import { createRequire } from 'node:module';

import { UserError } from '../base/errors.ts';
import type { Model } from './onnx-proto.ts';
import type { DataType, Tensor } from './tensor.ts';

export type Provider = 'cpu' | 'cuda' | 'webgpu';

export type SessionOptions = {
  readonly provider?: Provider;
  /** Threads inside one operator; 0: as many as the machine has cores. */
  readonly threads?: number;
};

export type Session = {
  /**
   * Runs the graph once. Inputs are read in place and must not change meanwhile; outputs are new memory.
   *
   * @throws Error naming an input that is missing or of another shape
   */
  readonly run: (inputs: Readonly<Record<string, Tensor>>) => Promise<Readonly<Record<string, Tensor>>>;
  readonly close: () => Promise<void>;
};

type Runtime = typeof import('onnxruntime-node');

let loaded: Runtime | undefined;

/** Loaded on first use: only the verbs that run a language model pay for it, or need it to be there. */
async function runtime(): Promise<Runtime> {
  if (loaded) return loaded;
  try {
    return (loaded = await import('onnxruntime-node'));
  } catch (cause) {
    throw new UserError('runtime.missing', 'runtime: onnxruntime-node does not load on this platform; see clinfuse doctor', { cause });
  }
}

/** Compiles a model. */
export async function openSession(model: Model, { provider = 'cpu', threads = 0 }: SessionOptions = {}): Promise<Session> {
  const { InferenceSession, Tensor } = await runtime();
  const session = await InferenceSession.create(model.bytes, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    // Neither makes a graph of this kind faster (measured), and both hold memory between runs.
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Idle threads of one session would otherwise spin against the next one's work.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  return {
    run: async (inputs) => {
      const feeds: Record<string, InstanceType<typeof Tensor>> = {};
      for (const [name, { type, shape }] of model.inputs) {
        const given = inputs[name];
        if (!given) throw new Error(`graph: input not given: ${name}`);
        if (given.type !== type || !shape.every((dim, i) => typeof dim === 'string' || dim === given.shape[i])) {
          throw new Error(`graph: input ${name}: expected ${type} [${shape}], got ${given.type} [${given.shape}]`);
        }
        feeds[name] = new Tensor(given.type as 'float32', given.data as Float32Array, given.shape);
      }
      const results = await session.run(feeds);
      return Object.fromEntries(
        Object.entries(results).map(([name, { type, dims, data }]) => [name, { type: type as DataType, shape: dims, data } as Tensor]),
      );
    },
    close: () => session.release(),
  };
}

export type Backend = { readonly name: string; readonly bundled: boolean };

/** What this machine's runtime offers, by its own word, and its version. */
export async function backends(): Promise<{ readonly version: string; readonly backends: readonly Backend[] }> {
  const { listSupportedBackends } = await runtime();
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return { version, backends: listSupportedBackends() };
}
