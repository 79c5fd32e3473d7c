// Wallets whose keys are in KMS: ethers with a secp256k1 key, Solana with Ed25519.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { CreateKeyCommand, GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import signers from '@rumblefishdev/eth-signer-kms';
import { AwsKmsSigner } from '@solana/keychain-aws-kms';
import { JsonRpcProvider, Transaction, verifyMessage, verifyTypedData } from 'ethers';
import { check, done } from './checks.mjs';

const kms = new KMSClient({});
const create = async (KeySpec) => (await kms.send(new CreateKeyCommand({ KeySpec, KeyUsage: 'SIGN_VERIFY' }))).KeyMetadata.KeyId;

const KeyId = await create('ECC_SECG_P256K1');
// Nobody listens there: a signer needs a provider to exist, not to answer.
const provider = new JsonRpcProvider('http://127.0.0.1:9', 1, { staticNetwork: true });
const signer = await signers.KMSSigner.create(provider, KeyId, kms);
const address = await signer.getAddress();

await check('an address from the public key', () => { assert.match(address, /^0x[0-9a-fA-F]{40}$/); });
await check('messages, recovered to that address', async () => {
  for (let i = 0; i < 20; i += 1) assert.equal(verifyMessage(`message ${i}`, await signer.signMessage(`message ${i}`)), address);
});
await check('typed data (EIP-712)', async () => {
  const domain = { name: 'Strongroom', version: '1', chainId: 1, verifyingContract: '0x0000000000000000000000000000000000000001' };
  const types = { Order: [{ name: 'item', type: 'string' }, { name: 'count', type: 'uint256' }] };
  const value = { item: 'key', count: 17 };
  const signature = await signer.signTypedData(domain, types, value);
  assert.equal(verifyTypedData(domain, types, value, signature), address);
});
await check('a transaction (EIP-1559), s in the lower half', async () => {
  const signed = Transaction.from(await signer.signTransaction({ type: 2, chainId: 1, nonce: 0, to: '0x0000000000000000000000000000000000000002', value: 1n, gasLimit: 21000n, maxFeePerGas: 2n, maxPriorityFeePerGas: 1n }));
  assert.equal(signed.from, address);
  assert.ok(BigInt(signed.signature.s) <= 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n);
});

const solana = await create('ECC_NIST_EDWARDS25519');
const spki = Buffer.from((await kms.send(new GetPublicKeyCommand({ KeyId: solana }))).PublicKey);
const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const base58 = (bytes) => {
  let text = '';
  for (let n = BigInt(`0x${bytes.toString('hex')}`); n > 0n; n /= 58n) text = alphabet[Number(n % 58n)] + text;
  return '1'.repeat(bytes.findIndex((b) => b !== 0)) + text;
};
const publicKey = base58(spki.subarray(-32));
const keychain = new AwsKmsSigner({ keyId: solana, publicKey, region: 'us-east-1' });

await check('Solana: the key is there and fits', async () => {
  assert.equal(await keychain.isAvailable(), true);
  assert.equal(keychain.address, publicKey);
});
await check('Solana: messages, verified with Ed25519', async () => {
  const content = Buffer.from('a message of many');
  const [signed] = await keychain.signMessages([{ content, signatures: {} }]);
  assert.ok(verify(null, content, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signed[publicKey]));
});
provider.destroy();
done();
