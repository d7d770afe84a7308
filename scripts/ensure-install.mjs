// Makes `npm run demo` and `npm test` work straight after a clone: installs when node_modules does not match the lock file, then
// runs the command it was given under the Node that was installed (a shell remembers where it found the machine's own).
// Plain JavaScript without dependencies, because at this moment nothing is installed and the machine's own Node may be 20.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`clinfuse: node too old: ${process.versions.node}; install Node 20 or newer`);
  process.exit(2);
}

const stamp = 'node_modules/.clinfuse-install';
const wanted = createHash('sha256').update(readFileSync('package.json')).update(readFileSync('package-lock.json')).digest('hex');
const have = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';

if (have !== wanted) {
  console.error('clinfuse: installing dependencies (once, about half a minute)');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const done = spawnSync(npm, ['install', '--no-progress', '--loglevel=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) {
    console.error('clinfuse: npm install failed; see the lines above, mend, run again');
    process.exit(1);
  }
  // The install may rewrite the lock file, so the stamp is taken afterwards.
  const now = createHash('sha256').update(readFileSync('package.json')).update(readFileSync('package-lock.json')).digest('hex');
  writeFileSync(stamp, now);
}

const [command, ...words] = process.argv.slice(2);
if (command) {
  const separator = process.platform === 'win32' ? ';' : ':';
  const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}${separator}${process.env.PATH}` };
  const child = spawn(resolve('node_modules/.bin', command), words, { stdio: 'inherit', env, shell: process.platform === 'win32' });
  // Ctrl-C reaches the command by itself; this process only waits for its answer.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 130));
}
