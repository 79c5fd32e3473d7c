// Works with the core while it starts children in every way Node has, and ends by itself.
import { exec, execFile, fork, spawn, spawnSync } from 'node:child_process';
import { openHsm } from '../../../src/index.ts';

const hsm = await openHsm();
const session = hsm.session();
const ec = await session.generateKey({ type: 'ec' });
const rsa = await session.generateKey({ type: 'rsa', bits: 2048 });
const aes = await session.generateKey({ type: 'aes', bits: 256 });

const over = (child: ReturnType<typeof spawn>): Promise<number | null> => new Promise((done) => child.on('exit', done));
const called = (start: (done: (error: Error | null) => void) => void): Promise<number> => new Promise((done) => start((error) => done(error === null ? 0 : 1)));

let signed = 0;
let going = true;
// Workers of the core are busy all the time that children are made.
const work = (async () => {
  while (going) {
    await Promise.all(Array.from({ length: 4 }, async (_, i) => { signed += rsa.verify(`${i}`, await rsa.sign(`${i}`)) ? 1 : 0; }));
  }
})();

const codes: (number | null)[] = [];
for (let round = 0; round < 8; round++) {
  codes.push(spawnSync('/bin/true').status);
  codes.push(await over(spawn('/bin/sh', ['-c', 'exit 0'])));
  codes.push(await called((done) => exec('true', done)));
  codes.push(await called((done) => execFile('/bin/true', done)));
  const blob = aes.encrypt(`round ${round}`);
  if (aes.decrypt(blob).toString() !== `round ${round}` || !ec.verify('m', await ec.sign('m'))) throw new Error('the parent fails');
}
// A Node of its own, which knows nothing of us.
codes.push(await over(fork(new URL('./alone.ts', import.meta.url).pathname, { execArgv: process.execArgv })));
going = false;
await work;
hsm.close();
console.log(JSON.stringify({ codes: [...new Set(codes)], signed: signed > 0 }));
