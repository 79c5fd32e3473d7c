// A cluster whose primary and workers all use the core; and children made by fork().
import cluster from 'node:cluster';
import { fork } from 'node:child_process';
import { openHsm } from '../../../src/index.ts';

const work = async (): Promise<boolean> => {
  const hsm = await openHsm();
  const session = hsm.session();
  const key = await session.generateKey({ type: 'ec' });
  const good = key.verify('message', await key.sign('message'));
  hsm.close();
  return good;
};

if (process.argv[2] === 'child' || cluster.isWorker) {
  process.send!({ good: await work() });
  process.disconnect();
} else {
  const hsm = await openHsm();
  const session = hsm.session();
  const key = await session.generateKey({ type: 'ec' });
  const self = process.argv[1]!;
  const answers: boolean[] = [];
  const ended: Promise<number | null>[] = [];
  for (let i = 0; i < 2; i++) {
    const worker = cluster.fork();
    worker.on('message', (m: { good: boolean }) => answers.push(m.good));
    ended.push(new Promise((done) => worker.on('exit', done)));
    const child = fork(self, ['child']);
    child.on('message', (m: { good: boolean }) => answers.push(m.good));
    ended.push(new Promise((done) => child.on('exit', done)));
  }
  const codes = await Promise.all(ended);
  const still = key.verify('after', await key.sign('after'));
  hsm.close();
  console.log(JSON.stringify({ answers, codes, still }));
}
