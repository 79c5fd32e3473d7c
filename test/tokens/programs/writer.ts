// Another process that makes keys in the token `mine`, by the Node API.
import { openHsm } from '../../../src/index.ts';
import { userPin } from '../room.ts';

const hsm = await openHsm();
const token = await hsm.openToken('mine', userPin);
process.stdout.write('begun\n');
for (let i = 0; i < Number(process.argv[2]); i++) await token.generateKey({ type: 'aes', label: `other ${i}` });
hsm.close();
