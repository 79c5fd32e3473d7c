// A worker thread that opens the HSM for itself, works, and reports.
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'node:module';
register('tsx/esm', import.meta.url, { data: true });
const { openHsm } = await import('../../../src/index.ts');
const hsm = await openHsm();
const session = hsm.session({ partition: `worker-${workerData.id}` });
const aes = await session.generateKey({ type: 'aes' });
const rsa = await session.generateKey({ type: 'rsa', bits: 2048 });
if (workerData.endless) {
  parentPort.postMessage('working');
  for (;;) await Promise.all([rsa.sign('a'), rsa.sign('b'), rsa.sign('c')]);
}
let good = 0;
for (let i = 0; i < 200; i++) if (aes.decrypt(aes.encrypt(`message ${i}`)).toString() === `message ${i}`) good++;
const signatures = await Promise.all(Array.from({ length: 8 }, (_, i) => rsa.sign(`message ${i}`)));
good += signatures.filter((signature, i) => rsa.verify(`message ${i}`, signature)).length;
if (workerData.close) hsm.close();
parentPort.postMessage(good);
