import { Linker } from '../../linkage/linker.ts';
import type { LinkageSettings } from '../../linkage/settings.ts';
import type { TrainingPlan } from '../../linkage/training.ts';
import type { Session } from './session.ts';

/**
 * Opens the linkage of the session's records and trains it on what this data offers: a rule that finds no pair (a folder of few records,
 * or of one facility) is left out, and what then nothing trains keeps the settings' own values.
 *
 * @returns a linker to close, or to hold by `await using`
 */
export async function trainedLinker({ db, threads, progress }: Session, settings: LinkageSettings, plan: TrainingPlan): Promise<Linker> {
  const linker = await Linker.open({ db, table: 'records', settings, progress, ...(threads ? { threads } : {}) });
  try {
    const emRules = plan.emRules.filter(await findsPairs(linker, plan.emRules));
    const deterministicRules = (plan.deterministicRules ?? []).filter(await findsPairs(linker, plan.deterministicRules ?? []));
    await linker.train({ ...plan, emRules, deterministicRules });
    return linker;
  } catch (cause) {
    await linker.close();
    throw cause;
  }
}

async function findsPairs(linker: Linker, rules: TrainingPlan['emRules']): Promise<(rule: unknown, at: number) => boolean> {
  const counts = rules.length > 0 ? await linker.countPairs(rules) : [];
  return (_, at) => counts[at]!.pairs > 0;
}
