// Opens the core under whatever limits it was started with, uses it, and says what it got.
import { openHsm } from '../../../src/index.ts';

const hsm = await openHsm();
const session = hsm.session();
const rsa = await session.generateKey({ type: 'rsa', bits: 2048 });
const aes = await session.generateKey({ type: 'aes', bits: 256 });
const good = rsa.verify('m', await rsa.sign('m')) && aes.decrypt(aes.encrypt('plain')).toString() === 'plain';
const { memory } = hsm.info();
hsm.close();
console.log(JSON.stringify({ good, ...memory }));
