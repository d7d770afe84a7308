// How Synthea 3.3.0 is run on this machine. Three ways, the first that is there:
//   its own release jar (`--synthea-jar`, SYNTHEA_JAR);
//   Maven, which fetches Synthea from Maven Central once and keeps it in a cache folder;
//   docker, with Maven's official image doing the same inside.
// The reference and end dates are pinned, so that a seed gives the same people on every day and machine.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { UserError } from '../base/errors.ts';
import { writeText } from '../base/files.ts';
import type { GenerateSettings } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A program to start; `stop` is the signal that ends it and what it started. */
export type SyntheaCommand = {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly stop: 'SIGKILL' | 'SIGTERM';
};

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>clinfuse</groupId><artifactId>synthea-classpath</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.mitre.synthea</groupId><artifactId>synthea</artifactId><version>3.3.0</version></dependency>
  </dependencies>
</project>
`;
const maven = 'mvn';
const mavenImage = 'maven:3.9-eclipse-temurin-17';
const classpathGoals = ['-q', '-B', 'dependency:build-classpath', '-Dmdep.outputFile=classpath.txt'];

/**
 * Finds the way Synthea can be run here.
 *
 * @param options.jar the release jar, if the user named one
 * @param options.cache folder in which Maven's classpath is kept
 * @param options.output folder into which Synthea writes `csv/`
 * @throws UserError `generate.no-synthea`, `generate.no-java`, `generate.jar`, `generate.maven`
 */
export async function findSynthea({
  settings,
  output,
  jar,
  cache,
  environment,
}: {
  readonly settings: GenerateSettings;
  readonly output: string;
  readonly jar?: string;
  readonly cache: string;
  readonly environment: Environment;
}): Promise<SyntheaCommand> {
  const has = (program: string, ...probe: string[]) =>
    spawnSync(program, probe, { env: { ...environment }, stdio: 'ignore', timeout: 30_000 }).status === 0;
  const java = (from: readonly string[], place: string): SyntheaCommand => {
    if (!has('java', '-version')) throw new UserError('generate.no-java', 'generate: java not found; install Java 17 or newer (a JDK)');
    return { program: 'java', arguments: ['-Xmx8g', ...from, ...syntheaArguments(settings, place)], stop: 'SIGKILL' };
  };
  if (jar !== undefined) {
    if (!existsSync(jar))
      throw new UserError('generate.jar', `generate: Synthea jar not found: ${jar}; check --synthea-jar or SYNTHEA_JAR`);
    return java(['-jar', resolve(jar)], output);
  }
  if (has(maven, '--version')) return java(['-cp', await mavenClasspath(cache, environment), 'App'], output);
  if (has('docker', 'info')) return dockerCommand(settings, output, cache);
  throw new UserError(
    'generate.no-synthea',
    'generate: no way to run Synthea; install Maven and Java 17, or Docker, or name its release jar with --synthea-jar',
  );
}

/** Synthea's own arguments: CSV and nothing else, dates pinned, state as the place of birth. */
function syntheaArguments({ population, seed, state }: GenerateSettings, output: string): readonly string[] {
  const exports = { csv: true, fhir: false, 'hospital.fhir': false, 'practitioner.fhir': false };
  return [
    ...['-p', String(population), '-s', String(seed), '-cs', String(seed), '-r', '20260101', '-e', '20260101', state],
    ...Object.entries(exports).map(([kind, on]) => `--exporter.${kind}.export=${on}`),
    `--exporter.baseDirectory=${output}`,
  ];
}

async function mavenClasspath(cache: string, environment: Environment): Promise<string> {
  const file = join(cache, 'classpath.txt');
  const cached = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (cached !== '' && cached.split(':').every((jar) => existsSync(jar))) return cached;
  mkdirSync(cache, { recursive: true });
  await writeText(join(cache, 'pom.xml'), pom);
  const done = spawnSync(maven, classpathGoals, { cwd: cache, env: { ...environment }, encoding: 'utf8' });
  if (done.status !== 0) {
    throw new UserError('generate.maven', `generate: Maven could not fetch Synthea 3.3.0: ${lastWords(`${done.stdout}\n${done.stderr}`)}`);
  }
  return readFileSync(file, 'utf8').trim();
}

async function dockerCommand(settings: GenerateSettings, output: string, cache: string): Promise<SyntheaCommand> {
  mkdirSync(cache, { recursive: true });
  await writeText(join(cache, 'pom.xml'), pom);
  // Files shall belong to whoever owns the folder they are for, not to the container's root.
  const { uid, gid } = statSync(output);
  const script = `cd /work && mvn ${classpathGoals.join(' ').replace('classpath.txt', 'classpath-docker.txt')} && exec java -Xmx8g -cp "$(cat classpath-docker.txt)" App "$@"`;
  const mounts = ['-v', `${resolve(output)}:/out`, '-v', `${resolve(cache)}:/work`, '-e', 'MAVEN_OPTS=-Duser.home=/work'];
  return {
    program: 'docker',
    arguments: [
      ...['run', '--rm', '--init', '--user', `${uid}:${gid}`, ...mounts, mavenImage],
      ...['sh', '-c', script, 'synthea', ...syntheaArguments(settings, '/out')],
    ],
    stop: 'SIGTERM',
  };
}

/**
 * Runs Synthea to its end.
 *
 * @param options.onLine gets every line it prints
 * @param options.onStart gets a function that stops it, for the moment the user interrupts
 * @throws UserError `generate.failed` with its last lines
 */
export function runSynthea(
  { program, arguments: words, stop }: SyntheaCommand,
  {
    environment,
    folder,
    onLine,
    onStart,
  }: {
    readonly environment: Environment;
    /** Synthea's working folder; it may leave files of its own there. */
    readonly folder: string;
    readonly onLine: (line: string) => void;
    readonly onStart: (stop: () => void) => void;
  },
): Promise<void> {
  return new Promise((done, fail) => {
    const child: ChildProcess = spawn(program, [...words], { cwd: folder, env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    onStart(() => void child.kill(stop));
    const last: string[] = [];
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (line.trim() !== '') last.push(line);
        if (last.length > 40) last.shift();
        onLine(line);
      });
    }
    child.on('error', (cause) => fail(new UserError('generate.failed', `generate: cannot start ${program}: ${cause.message}`, { cause })));
    child.on('close', (code, signal) => {
      if (code === 0) done();
      else fail(new UserError('generate.failed', `generate: Synthea failed (${signal ?? `exit ${code}`}): ${lastWords(last.join('\n'))}`));
    });
  });
}

/** The end of a program's output in one line: the lines that tell something, stack frames left out. */
export function lastWords(text: string): string {
  const telling = text.split('\n').filter((line) => line.trim() !== '' && !/^\s+at |^\s*\.\.\. \d+ more/.test(line));
  return (
    telling
      .slice(-3)
      .map((line) => line.trim())
      .join(' | ') || 'it said nothing'
  );
}
