import { UserError } from '../base/errors.ts';
import type { MlflowOptions } from '../training/mlflow-client.ts';
import type { FollowOptions } from '../training/mlflow-follow.ts';

/**
 * How to reach the MLflow server, by the variables that MLflow's own programs know: MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN, or
 * MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. None of the secrets is an option: command lines are seen by everybody on the machine.
 *
 * @throws UserError `mlflow.address` where no server is named, `mlflow.tls`
 */
export function mlflowAccess(uri: string | undefined): MlflowOptions {
  const { env } = process;
  const address = uri ?? env['MLFLOW_TRACKING_URI'];
  if (!address) {
    throw new UserError('mlflow.address', 'mlflow: no server named; give --tracking-uri http(s)://HOST:PORT, or set MLFLOW_TRACKING_URI');
  }
  if (/^(1|true)$/i.test(env['MLFLOW_TRACKING_INSECURE_TLS'] ?? '')) {
    const hint = 'give the server’s certificate in NODE_EXTRA_CA_CERTS and unset it';
    throw new UserError('mlflow.tls', `mlflow: MLFLOW_TRACKING_INSECURE_TLS: certificates are always checked; ${hint}`);
  }
  return {
    uri: address,
    token: env['MLFLOW_TRACKING_TOKEN'] || undefined,
    username: env['MLFLOW_TRACKING_USERNAME'] || undefined,
    password: env['MLFLOW_TRACKING_PASSWORD'] || undefined,
  };
}

/** The server that a run is to be reported to as it goes: none unless MLFLOW_TRACKING_URI names one that is reached over http(s). */
export function followOptions(log: (line: string) => void): FollowOptions | undefined {
  const uri = process.env['MLFLOW_TRACKING_URI'];
  if (!uri) return undefined;
  if (!/^https?:/.test(uri)) {
    log('mlflow: MLFLOW_TRACKING_URI is not http(s): the run is kept in its own folder alone');
    return undefined;
  }
  return { server: mlflowAccess(uri), isRunning, log };
}

/** Whether a process of this machine is at work. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    // Not ours to signal, but there.
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}
