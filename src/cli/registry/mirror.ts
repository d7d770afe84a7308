import { UserError } from '../../base/errors.ts';
import { openMlflow } from '../../training/mlflow-client.ts';
import { mirrorRegistry } from '../../training/registry-mirror.ts';
import { followOptions } from '../mlflow-access.ts';

/**
 * Tells the MLflow server of MLFLOW_TRACKING_URI, if any, what the registry has decided. A server that is away changes nothing: the
 * decision stands in the folder, and the next promotion, or `registry push`, sends what is missing.
 */
export async function mirrorDecision(registry: string, log: (line: string) => void): Promise<void> {
  const server = followOptions(log)?.server;
  if (!server) return;
  try {
    await mirrorRegistry(registry, openMlflow({ ...server, tries: 2 }));
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    log(`${cause.message}; the decision is kept in ${registry}, and sent by the next promotion or by clinfuse registry push`);
  }
}
