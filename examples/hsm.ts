// The HSM inside a Node.js program: node --import tsx examples/hsm.ts
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openHsm, HsmError, type AesKey } from 'strongroom';

const home = mkdtempSync(join(tmpdir(), 'strongroom-example-'));

// Partitions in a home outlive the process; each opens by its own PIN.
const hsm = await openHsm({ home });
await hsm.createPartition('tenant-a', { pin: 'correct horse', officerPin: 'battery staple' });
const session = await hsm.session({ partition: 'tenant-a', pin: 'correct horse' });

// A key is a handle. Its bytes stay in the core's secret memory.
const key = await session.generateKey({ type: 'aes', bits: 256, label: 'invoices' });
const blob = key.encrypt('42 EUR', { aad: 'invoice 7' });
console.log('decrypted:', key.decrypt(blob, { aad: 'invoice 7' }).toString());

try {
  key.decrypt(blob, { aad: 'invoice 8' });
} catch (error) {
  console.log('another invoice:', (error as HsmError).code);
}

// Sealed, a key goes into a store of yours and opens only here, under this name.
const sealed = key.seal('keys/invoices');
key.destroy();
const again = session.openKey('keys/invoices', sealed) as AesKey;
console.log('opened again:', again.decrypt(blob, { aad: 'invoice 7' }).toString());

// Signing; the public half leaves as SPKI or PEM.
const signer = await session.generateKey({ type: 'ec', curve: 'P-256' });
const signature = await signer.sign('the contract');
console.log('signature fits:', signer.verify('the contract', signature));
console.log(signer.publicKeyPem.split('\n')[0]);

// Two sides agree on a key without ever seeing it.
const [alice, bob] = [await session.generateKey({ type: 'x25519' }), await session.generateKey({ type: 'x25519' })];
const fromAlice = alice.agree(bob.publicKey).derive({ type: 'aes' }, { info: 'chat 1' });
const fromBob = bob.agree(alice.publicKey).derive({ type: 'aes' }, { info: 'chat 1' });
console.log('agreed:', fromBob.decrypt(fromAlice.encrypt('hello Bob')).toString());

// Many messages in one crossing.
const many = again.encryptMany(Array.from({ length: 1000 }, (_, i) => Buffer.from(`row ${i}`)));
console.log('rows:', again.decryptMany(many).length);

hsm.close();
rmSync(home, { recursive: true });
