// Compiled layer graphs, made when first needed. Layers of one shape share theirs, and they hold no weights, so there are few and
// each costs milliseconds. Three kinds: forward only, forward that gives back what the backward pass will want, and backward.

import { backward } from '../graph/backward.ts';
import { gradients } from '../graph/gradients.ts';
import { input } from '../graph/node.ts';
import { writeModel } from '../graph/onnx-proto.ts';
import { openSession, type Session, type SessionOptions } from '../graph/session.ts';
import type { Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';
import { decoderLayer, type LayerShape } from './decoder-layer.ts';
import { fastGradients } from './fast-backward.ts';

export type LayerSessions = {
  /** Gives `output`. */
  readonly forward: (shape: LayerShape) => Promise<Session>;
  /** Gives `output` and everything kept. */
  readonly forwardKeeping: (shape: LayerShape) => Promise<Session>;
  /** Gives `d.hidden` (and `d.asked` where only the last tokens ask), and `d.NAME` for every trained input. */
  readonly backward: (shape: LayerShape, options: BackwardOptions) => Promise<Session>;
  readonly close: () => Promise<void>;
};

export type BackwardOptions = {
  /** Kept activations are inputs; otherwise they are computed again from the layer's input. */
  readonly hasKept: boolean;
  /** Nothing below this layer is trained: the gradient of its input is not computed. */
  readonly isLowest: boolean;
  /** Through the frozen weights by 8-bit products. */
  readonly isFast: boolean;
};

/** How many shapes stay compiled: batches come in few lengths, and an old one costs only its making again. */
const capacity = 48;

export function layerSessions(config: ModelConfig, options: SessionOptions): LayerSessions {
  const open = new Map<string, Promise<Session>>();
  const compiled = async (key: string, build: () => ReturnType<typeof writeModel>): Promise<Session> => {
    const found = open.get(key) ?? openSession(build(), options);
    // The most recently used stands last.
    open.delete(key);
    open.set(key, found);
    if (open.size > capacity) {
      const [oldest, session] = open.entries().next().value!;
      open.delete(oldest);
      await (await session).close();
    }
    return found;
  };
  return {
    forward: (shape) =>
      compiled(`forward ${JSON.stringify(shape)}`, () => {
        const { output } = decoderLayer(config, shape);
        return writeModel({ outputs: { output } });
      }),
    forwardKeeping: (shape) =>
      compiled(`keeping ${JSON.stringify(shape)}`, () => {
        const { output, kept } = decoderLayer(config, shape);
        return writeModel({ outputs: { output, ...Object.fromEntries(kept) } });
      }),
    backward: (shape, how) => compiled(`backward ${JSON.stringify([shape, how])}`, () => backwardModel(config, shape, how)),
    close: async () => {
      for (const session of open.values()) await (await session).close();
      open.clear();
    },
  };
}

function backwardModel(config: ModelConfig, shape: LayerShape, { hasKept, isLowest, isFast }: BackwardOptions) {
  const { hidden, asked, output, kept, trained } = decoderLayer(config, shape);
  const inputs: readonly (readonly [string, Value])[] = [['hidden', hidden], ...(asked === hidden ? [] : [['asked', asked] as const])];
  const targets = new Map<string, Value>([...(isLowest ? [] : inputs), ...trained]);
  const arriving = input('d.output', 'float32', output.shape);
  const rules = isFast ? fastGradients(output) : gradients;
  const found = backward({ outputs: new Map([[output, arriving]]), targets: [...targets.values()], rules });
  const outputs = Object.fromEntries([...targets.keys()].map((name, i) => [`d.${name}`, found[i]!]));
  const given = new Map<Value, string>(hasKept ? [...kept].map(([name, value]) => [value, name]) : []);
  return writeModel({ outputs, given });
}
