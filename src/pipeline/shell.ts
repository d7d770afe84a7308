// The one place of the pipeline that starts, watches and stops processes.
//
// Every command gets a process group of its own, so that all it starts can be stopped together. It begins behind a gate: the shell waits
// for a line, which is sent only after the group has been written down. A runner that is killed before leaves a shell that ends by itself
// (its line never comes); killed later, it leaves a group whose number is on file for the next run to find.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** PATH, HOME, SHELL and the rest, as the user has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A group of processes: the number of its first, and when that one started, since numbers are used again. */
export type ProcessGroup = { readonly group: number; readonly started: string };

export type CommandResult = { readonly code: number | null; readonly signal: string | null };

const running = new Set<ChildProcess>();

/**
 * Runs one command by the user's shell, as DVC does: `$SHELL -c`, without the shell's own start-up files.
 *
 * @param options.onStart writes the group down; the command begins only when it returns
 * @param options.onOutput what the command prints, in pieces
 * @param options.signal stops the group: first as Ctrl-C does, then harder
 */
export async function runCommand(
  command: string,
  {
    folder,
    environment,
    onStart,
    onOutput,
    signal,
  }: {
    readonly folder: string;
    readonly environment: Environment;
    readonly onStart: (group: ProcessGroup) => void;
    readonly onOutput: (text: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<CommandResult> {
  const words = shellWords(environment['SHELL'] || '/bin/sh', command);
  const child = spawn('/bin/sh', ['-c', 'read -r line || exit 125; exec "$@" </dev/null', 'sh', ...words], {
    cwd: folder,
    env: { ...environment },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  running.add(child);
  const ended = new Promise<CommandResult>((resolve, reject) => {
    child.on('error', reject);
    // Not `exit`: what the command left running in the background may still write.
    child.on('close', (code, by) => resolve({ code, signal: by }));
  });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped = stopGroup({ group: child.pid!, started: '' }, ['SIGINT', 'SIGTERM', 'SIGKILL']);
  };
  try {
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', onOutput);
    child.stdin.on('error', () => {});
    if (child.pid !== undefined) {
      onStart({ group: child.pid, started: startOf(child.pid) ?? '' });
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      else child.stdin.end('go\n');
    }
    return await ended;
  } finally {
    await stopped;
    signal.removeEventListener('abort', stop);
    running.delete(child);
  }
}

/** Ends every command at once; for the moment the process itself must end. */
export function killRunning(): void {
  for (const { pid } of running) if (pid !== undefined) send(pid, 'SIGKILL');
}

function shellWords(shell: string, command: string): readonly string[] {
  const flags: Readonly<Record<string, readonly string[]>> = { zsh: ['--no-rcs'], bash: ['--noprofile', '--norc'], fish: ['--no-config'] };
  return [shell, ...(flags[basename(shell).toLowerCase()] ?? []), '-c', command];
}

/** Stops a group, signal after signal with two seconds between, and returns when none of it is left. */
export async function stopGroup(of: ProcessGroup, signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGKILL']): Promise<void> {
  for (const [i, signal] of signals.entries()) {
    if (!groupAlive(of)) return;
    send(of.group, signal);
    for (let waited = 0; i === signals.length - 1 || waited < 2000; waited += 20) {
      if (!groupAlive(of)) return;
      await wait(20);
    }
  }
}

function send(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Gone in the meantime.
  }
}

/** Whether anything of a group still runs. A first process that started at another time is a stranger under the same number. */
function groupAlive({ group, started }: ProcessGroup): boolean {
  try {
    process.kill(-group, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  // The dead whom nobody has buried also answer.
  const members = processes().filter((one) => one.group === group && !one.dead);
  const first = members.find(({ pid }) => pid === group);
  return members.length > 0 && !(started !== '' && first !== undefined && first.started !== started);
}

/** When a living process started: text to compare, different after a restart of the machine. */
export function startOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  const one = readStat(pid) ?? processes().find((other) => other.pid === pid);
  return one && !one.dead ? one.started : undefined;
}

type ProcessState = { readonly pid: number; readonly group: number; readonly dead: boolean; readonly started: string };

/** All processes: from /proc on Linux, elsewhere from `ps`. */
function processes(): readonly ProcessState[] {
  const numbers = listProc();
  if (numbers) return numbers.flatMap((pid) => readStat(pid) ?? []);
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,pgid=,stat=,lstart='], { encoding: 'utf8' });
  return [...(stdout ?? '').matchAll(/^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.+)$/gm)].map(([, pid, group, state, started]) => ({
    pid: Number(pid),
    group: Number(group),
    dead: state!.startsWith('Z'),
    started: started!.trim(),
  }));
}

function listProc(): readonly number[] | undefined {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return undefined;
  }
}

/** `/proc/PID/stat`: number (name) state parent group ... start, in ticks since the machine came up; names may hold spaces and brackets. */
function readStat(pid: number): ProcessState | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid, group: Number(fields[2]), dead: /[ZX]/.test(fields[0]!), started: `${bootId()}:${fields[19]}` };
  } catch {
    return undefined;
  }
}

let boot: string | undefined;

function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}
