// Ends the process in the middle of work on the queue, in the way the first argument says.
import { openHsm } from '../../../src/index.ts';

const hsm = await openHsm();
const session = hsm.session();
const rsa = await session.generateKey({ type: 'rsa', bits: 2048 });
for (let i = 0; i < 20; i++) void rsa.sign(`message ${i}`).catch(() => undefined);
void session.generateKey({ type: 'rsa', bits: 4096 }).catch(() => undefined);

switch (process.argv[2]) {
  case 'exit': process.exit(0); break;
  case 'close': hsm.close(); break;
  case 'close-exit': hsm.close(); process.exit(0); break;
  case 'throw': setImmediate(() => { throw new Error('on purpose'); }); break;
  case 'later': setTimeout(() => process.exit(0), 20); break;
  default: break;                       // by itself, when all is done
}
