// The only file that knows ONNX Runtime. A session is a compiled graph; weights are not in it but come as inputs with every run, used
// where they lie, so one session serves every layer of a shape.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { input, neg } from './node.ts';
import { type Model, writeModel } from './onnx-proto.ts';
import type { DataType, Tensor } from './tensor.ts';
import { showShape, type Typed } from './value.ts';

const require = createRequire(import.meta.url);

export type Provider = 'cpu' | 'cuda' | 'webgpu';

export type SessionOptions = {
  readonly provider?: Provider;
  /** Threads inside one operator; 0: as many as the machine has cores. */
  readonly threads?: number;
};

export type Session = {
  /** What a run gives, by name. */
  readonly outputs: ReadonlyMap<string, Typed>;
  /**
   * Runs the graph once. Inputs are read in place and must not change meanwhile; outputs are new memory, but for those named in `into`,
   * which are written over what is given there. A cache may be an input and, as the same memory, an output.
   *
   * @throws Error naming an input that is missing or of another shape
   */
  readonly run: (
    inputs: Readonly<Record<string, Tensor>>,
    into?: Readonly<Record<string, Tensor>>,
  ) => Promise<Readonly<Record<string, Tensor>>>;
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

/**
 * Compiles a model.
 *
 * @throws UserError `runtime.provider` when the provider cannot be had here
 * @throws Error with the runtime's words when it refuses the model: a bug of whoever built the graph
 */
export async function openSession(
  { bytes, inputs: asked, outputs }: Model,
  { provider = 'cpu', threads = 0 }: SessionOptions = {},
): Promise<Session> {
  const session = await create(bytes, { provider, threads });
  const native = nativeTensors(await runtime());
  /** Every output by name: where it goes, or nothing for new memory. */
  const fetches = (into: Readonly<Record<string, Tensor>>): Record<string, Native | null> =>
    Object.fromEntries([...outputs.keys()].map((name) => [name, into[name] ? native(into[name]) : null]));
  return {
    outputs,
    run: async (inputs, into) => {
      const feeds: Record<string, Native> = {};
      for (const [name, expected] of asked) {
        const given = inputs[name];
        if (!given) throw new Error(`graph: input not given: ${name}`);
        if (!fits(given, expected)) {
          throw new Error(
            `graph: input ${name}: expected ${expected.type} ${showShape(expected.shape)}, got ${given.type} ${showShape(given.shape)}`,
          );
        }
        feeds[name] = native(given);
      }
      const results = await (into ? session.run(feeds, fetches(into)) : session.run(feeds));
      return Object.fromEntries(
        Object.entries(results).map(([name, { type, dims, data }]) => {
          const given = into?.[name];
          if (!given) {
            const own = type === 'float16' ? words(data as unknown as ArrayBufferView) : data;
            return [name, { type: type as DataType, shape: dims, data: own } as Tensor];
          }
          // The binding hands out a copy of what it wrote there: freed now, it costs the collector nothing.
          const { buffer } = data as Float32Array<ArrayBuffer>;
          if (buffer !== given.data.buffer) buffer.transfer(0);
          return [name, given];
        }),
      );
    },
    close: () => session.release(),
  };
}

type Native = InstanceType<Runtime['Tensor']>;

/** The runtime's own tensors over the same memory: weights are given thousands of times. */
const natives = new WeakMap<Tensor, Native>();

const nativeTensors =
  ({ Tensor: Made }: Runtime) =>
  (of: Tensor): Native => {
    const found = natives.get(of);
    if (found) return found;
    const { type, shape, data } = of;
    // A float16 Tensor would wrap its words in a Float16Array where the language has one, which the runtime cannot read.
    const made =
      type === 'float16'
        ? Object.assign(new Made('uint16', data, shape), { type })
        : new Made(type as 'float32', data as Float32Array, shape);
    natives.set(of, made);
    return made;
  };

async function create(bytes: Uint8Array, { provider, threads }: Required<SessionOptions>) {
  const { InferenceSession } = await runtime();
  if (!(await has(provider))) throw await unavailable(provider);
  try {
    return await InferenceSession.create(bytes, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      // Neither makes a graph of this kind faster (measured), and both hold memory between runs.
      enableCpuMemArena: false,
      enableMemPattern: false,
      logSeverityLevel: 3,
      // A thread waits awake for the next operator, and no longer: one that spins takes the time of other programs, and of our own code.
      extra: { session: { intra_op: { allow_spinning: '1', spin_duration_us: '50' } } },
    });
  } catch (cause) {
    if (provider !== 'cpu' && !(await starts(provider))) throw await unavailable(provider, cause);
    throw new Error(`graph: the runtime refuses the model: ${(cause as Error).message.trim()}`, { cause });
  }
}

const fits = (given: Tensor, { type, shape }: Typed): boolean =>
  given.type === type && given.shape.length === shape.length && shape.every((dim, i) => typeof dim === 'string' || dim === given.shape[i]);

const words = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint16Array =>
  new Uint16Array(buffer as ArrayBuffer, byteOffset, byteLength / 2);

const providers: readonly Provider[] = ['cpu', 'cuda', 'webgpu'];

/** What each provider asks for that npm does not bring. */
const needs: { readonly [P in Provider]: string } = {
  cpu: 'nothing',
  cuda: 'Linux x64, an NVIDIA driver, CUDA 12, cuDNN 9, and ONNXRUNTIME_NODE_INSTALL=true node node_modules/onnxruntime-node/script/install.js',
  webgpu: 'a graphics driver: Vulkan on Linux, Direct3D 12 on Windows, Metal on macOS',
};

export type ProviderState = {
  readonly name: Provider;
  /** A model was run on it just now. */
  readonly works: boolean;
  /** The runtime's files for it are here. */
  readonly installed: boolean;
  readonly needs: string;
};

/** Tries every provider with a model of one operator. */
export async function providerStates(): Promise<readonly ProviderState[]> {
  const states: ProviderState[] = [];
  for (const name of providers) {
    const installed = await has(name);
    states.push({ name, installed, works: installed && (await starts(name)), needs: needs[name] });
  }
  return states;
}

/** Version of the runtime. */
export function runtimeVersion(): string {
  return (require('onnxruntime-node/package.json') as { version: string }).version;
}

/** Whether the runtime was built with a provider, and its files are there. */
async function has(provider: Provider): Promise<boolean> {
  const { listSupportedBackends } = await runtime();
  const built = listSupportedBackends().find(({ name }) => name === provider);
  if (!built || built.bundled) return built !== undefined;
  const library = `bin/napi-v6/${platform()}/${arch()}/libonnxruntime_providers_${provider}.so`;
  return existsSync(join(dirname(require.resolve('onnxruntime-node/package.json')), library));
}

async function starts(provider: Provider): Promise<boolean> {
  const { InferenceSession, Tensor } = await runtime();
  const { bytes } = writeModel({ outputs: { y: neg(input('x', 'float32', [1])) } });
  try {
    const session = await InferenceSession.create(bytes, { executionProviders: [provider], logSeverityLevel: 4 });
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1), [1]) });
    await session.release();
    return (y!.data as Float32Array)[0] === -1;
  } catch {
    return false;
  }
}

async function unavailable(provider: Provider, cause?: unknown): Promise<UserError> {
  const installed: Provider[] = [];
  for (const name of providers) if (await has(name)) installed.push(name);
  const fault = installed.includes(provider) ? 'does not start' : 'is not installed';
  return new UserError(
    'runtime.provider',
    `runtime: provider ${fault}: ${provider}; installed: ${installed.join(', ')}; ${provider} needs ${needs[provider]}`,
    { cause },
  );
}
