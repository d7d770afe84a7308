import { basename, join, resolve } from 'node:path';

import { writeText } from '../../base/files.ts';
import type { Progress } from '../../base/progress.ts';
import { lossCurveChart } from '../../charts/loss-curve.ts';
import { renderSvg } from '../../charts/render.ts';
import { languageModel } from '../../models/language-model.ts';
import { newAdapter } from '../../models/lora.ts';
import { loadResident } from '../../models/resident.ts';
import { storageOf } from '../../models/storage.ts';
import { adapterTexts, writeAdapter } from '../../models/write-peft.ts';
import { checkpointName, readParameters, refuseUsed, removeForeignCheckpoints } from '../../training/checkpoint.ts';
import { fineTune } from '../../training/fine-tune.ts';
import { type Follower, type FollowOptions, followRun } from '../../training/mlflow-follow.ts';
import { openRunLog } from '../../training/run-log.ts';
import { lossCurveOf, readRun } from '../../training/tracking.ts';
import { type TrainResult, train } from '../../training/trainer.ts';
import { runIdentity, type TrainingSettings } from '../../training/training-settings.ts';
import { measure } from './metrics.ts';
import { type Prepared, type PrepareOptions, prepare } from './prepare.ts';

export type TrainModelOptions = PrepareOptions & {
  /** Folder of the run: `adapter/`, `checkpoints/`, `log/`, `loss.svg`. */
  readonly out: string;
  /** Go on from the newest checkpoint; `or-restart`: unless it is of another run, which is then cleared away. */
  readonly resume?: boolean | 'or-restart';
  /** What the run is listed under, and its name (else that of `out`). */
  readonly experiment?: string;
  readonly runName?: string;
  /** What else is to be known of the run. */
  readonly tags?: Readonly<Record<string, string>>;
  /** A server that is told of the run as it goes. */
  readonly follow?: FollowOptions;
  readonly threads?: number;
  readonly progress: Progress;
  readonly clock: () => number;
  readonly signal?: AbortSignal;
  /** Told before anything heavy begins. */
  readonly onPlan?: (prepared: Prepared) => void;
};

export type TrainReport = {
  readonly ended: TrainResult['ended'];
  readonly steps: number;
  readonly tokens: number;
  readonly firstLoss: number;
  readonly lastLoss: number;
  /** Over all steps. */
  readonly meanLoss: number;
  /** Figures on the validation rows before the first step, and of the step whose values were kept. */
  readonly before: Readonly<Record<string, number>> | undefined;
  readonly best: { readonly step: number; readonly metrics: Readonly<Record<string, number>> } | undefined;
  readonly adapter: string;
};

/**
 * Fine-tunes an adapter and writes it as PEFT does; of a run that evaluates, the best step's.
 *
 * @throws UserError for bad input, for what does not fit into memory, and when the loss is no longer a number
 */
export async function trainModel(options: TrainModelOptions): Promise<TrainReport> {
  const { settings, out, resume: wanted = false, threads, progress, clock, signal } = options;
  const checkpoints = join(out, 'checkpoints');
  if (!wanted) refuseUsed(checkpoints);
  const prepared = await prepare(options);
  options.onPlan?.(prepared);
  const { folder, labels, batches, validation, memory } = prepared;
  const identity = runIdentity({ ...prepared.identity, settings });
  let follower: Follower | undefined;
  try {
    const resume = wanted === 'or-restart' ? !removeForeignCheckpoints(checkpoints, identity) : wanted;
    const resident = await loadResident(folder, { storage: storageOf(prepared.storage), progress });
    const adapter = newAdapter(resident, { settings: prepared.adapter, seed: settings.seed, ...(labels && { labels: labels.length }) });
    const model = languageModel(resident, { adapter, session: { ...(threads && { threads }) } });
    const notes = {
      settings: prepared.adapter,
      ...(labels && { labels }),
      ...(settings.quantize !== 'none' && { trainedOn: settings.quantize }),
    };
    const trainable = fineTune(model, {
      ...lossOptions(settings),
      seed: settings.seed,
      keptLayers: memory.keptLayers,
      precision: settings.precision,
    });
    const runFolder = join(out, 'log');
    const { experiment = 'Default', runName = basename(resolve(out)) } = options;
    const log = openRunLog(runFolder, { name: runName, experiment, clock, resume });
    await log.params(paramsOf(options, prepared));
    await log.tags(tagsOf(options, prepared));
    if (options.follow) follower = followRun(runFolder, options.follow);
    const result = await train({
      ...{ trainable, batches, settings, progress, clock, sinks: [log] },
      ...(validation && { evaluate: async () => (await measure(trainable, validation, labels)).metrics }),
      checkpoints: {
        ...{ folder: checkpoints, identity, resume },
        // Each is an adapter that can be tried as it is.
        extra: adapterTexts(notes),
      },
      ...(signal && { signal }),
    }).catch(async (cause: Error) => {
      await log.finish('failed', { error: cause.message });
      throw cause;
    });
    const { state } = result;
    if (state.best && state.best.step !== state.step)
      await readParameters(join(checkpoints, checkpointName(state.best.step)), trainable.parameters);
    const place = join(out, 'adapter');
    await writeAdapter(place, { adapter, ...notes });
    await log.artifact(place);
    const best = state.best
      ? { step: state.best.step, metrics: state.evaluations.find(({ step }) => step === state.best!.step)!.metrics }
      : undefined;
    const report: TrainReport = {
      ended: result.ended,
      steps: state.step,
      tokens: state.tokens,
      firstLoss: state.losses[0]!,
      lastLoss: state.losses.at(-1)!,
      meanLoss: state.losses.reduce((sum, loss) => sum + loss, 0) / state.losses.length,
      before: state.evaluations.find(({ step }) => step === 0)?.metrics,
      best,
      adapter: place,
    };
    const picture = join(out, 'loss.svg');
    const curve = lossCurveOf(readRun(runFolder).metrics);
    await writeText(
      picture,
      await renderSvg(lossCurveChart({ curve, source: `${basename(options.model)} on ${basename(dataName(options))}` })),
    );
    await log.artifact(picture);
    await log.finish(result.ended === 'interrupted' ? 'killed' : 'finished', report);
    await trainable.close();
    await model.close();
    return report;
  } finally {
    await follower?.stop(lastPushMs);
    await folder.close();
  }
}

/** How long a finished run may take to tell a server the rest. */
const lastPushMs = 30_000;

const dataName = ({ data }: TrainModelOptions): string => (typeof data === 'string' ? data : data.name);

const lossOptions = ({ labelSmoothing, classWeights }: TrainingSettings) => ({ labelSmoothing, ...(classWeights && { classWeights }) });

/** What the log says of how the run was made. */
function paramsOf(options: TrainModelOptions, { parameters, storage, steps, task }: Prepared): Readonly<Record<string, string>> {
  const { model, settings } = options;
  const said = { model, data: dataName(options), task, storage, steps, trainable: parameters.trainable, ...settings };
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]));
}

/** What the log says of where the run comes from. */
function tagsOf(options: TrainModelOptions, { identity }: Prepared): Readonly<Record<string, string>> {
  const { model, tags } = options;
  const names = { model: basename(resolve(model)), data: basename(dataName(options)) };
  return { ...names, 'model.sha256': identity.model, 'data.sha256': identity.data, ...tags };
}
