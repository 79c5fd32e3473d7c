// Parsers of ours in TypeScript, fed with changed documents, always the same ones: attestation documents' CBOR and
// policies. What is wrong is refused by its own error, never by another, and what is taken reads back.
// FUZZ_RUNS and FUZZ_SEED in the environment make longer and other runs.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePolicy, PolicyError, type Policy, type PolicyKind } from '../../src/iam/policy.ts';
import { CborError, decodeCbor, encodeCbor } from '../../src/kms/attestation/cbor.ts';

const settings = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 5000), seed: Number(process.env['FUZZ_SEED'] ?? 1) };

/** A document with some bytes changed, cut or doubled. */
const changed = (seeds: readonly Buffer[]): fc.Arbitrary<Buffer> => fc.tuple(
  fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'cut', 'double', 'insert')), { minLength: 1, maxLength: 4 }),
).map(([seed, changes]) => changes.reduce((bytes, [where, value, how]) => {
  const at = bytes.length === 0 ? 0 : where % bytes.length;
  if (how === 'cut') return bytes.subarray(0, at);
  if (how === 'double') return Buffer.concat([bytes, bytes.subarray(at, at + 64)]).subarray(0, 8192);
  if (how === 'insert') return Buffer.concat([bytes.subarray(0, at), Buffer.from([value]), bytes.subarray(at)]);
  return Buffer.from(bytes.map((byte, i) => (i === at ? value : byte)));
}, seed));

const refusedBy = (kind: new (...args: never[]) => Error, work: () => unknown): void => {
  try {
    work();
  } catch (error) {
    if (!(error instanceof kind)) throw error;
  }
};

const cbor = [
  encodeCbor(['Signature1', Buffer.alloc(4, 1), Buffer.alloc(0), Buffer.alloc(300, 7)]),
  // {"module_id": "i-1", "pcrs": {0: h'00…'}, "nonce": null, "timestamp": 1700000000000, 18([…])}
  Buffer.concat([Buffer.from('a5', 'hex'), Buffer.from('696d6f64756c655f6964', 'hex'), Buffer.from('63692d31', 'hex'), Buffer.from('6470637273a1005830', 'hex'), Buffer.alloc(48),
    Buffer.from('656e6f6e6365f6', 'hex'), Buffer.from('6974696d657374616d701b0000018bcfe56800', 'hex'), Buffer.from('6373696ed28440a0f640', 'hex')]),
  Buffer.from('9f0102ff', 'hex'), Buffer.from('9a7fffffff', 'hex'), Buffer.from('81'.repeat(200), 'hex'),
];
test('CBOR', () => {
  expect(() => decodeCbor(cbor[0]!)).not.toThrow();
  fc.assert(fc.property(fc.oneof(changed(cbor), fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))), (bytes) => {
    refusedBy(CborError, () => decodeCbor(bytes));
  }), settings);
});

const policies = [
  { Version: '2012-10-17', Statement: [{ Sid: 'a', Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'kms:*', Resource: '*' }] },
  { Version: '2012-10-17', Id: 'x', Statement: { Effect: 'Deny', Principal: '*', NotAction: ['kms:Decrypt'], Resource: '*', Condition: { StringEquals: { 'kms:EncryptionContext:a': ['b', '${aws:username}'] }, Bool: { 'kms:GrantIsForAWSResource': 'true' } } } },
].map((policy) => Buffer.from(JSON.stringify(policy)));
test.each(['resource','identity','trust',] satisfies PolicyKind[])('policies of kind %s', (kind) => {
  fc.assert(fc.property(changed(policies), (bytes) => {
    refusedBy(PolicyError, () => {
      const text = bytes.toString();
      const said = ({ id, variables, statements, asks }: Policy): unknown => [id, variables, statements.length, [...asks]];
      const policy = parsePolicy(text, kind);
      expect(said(parsePolicy(JSON.stringify(JSON.parse(text)), kind))).toEqual(said(policy));
    });
  }), settings);
});
