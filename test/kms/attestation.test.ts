import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CborError, decodeCbor } from '../../src/kms/attestation/cbor.ts';
import { AttestationVerifier } from '../../src/kms/attestation/verifier.ts';
import { loadCore, type NativeCore } from '../../src/hsm/native.ts';
import { cbor, issue, makeDocument, makeEnclave, type Enclave } from './attestation-maker.ts';

let core: NativeCore;
let enclave: Enclave;
let verifier: AttestationVerifier;
const publicKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' });

beforeAll(() => {
  core = loadCore();
  enclave = makeEnclave();
  verifier = new AttestationVerifier(core, [enclave.root.certificate]);
});
afterAll(() => {
  verifier.close();
  core.close();
});

const good = (document: Buffer, nowMs = Date.now()) => verifier.verify(document, nowMs) !== undefined;

describe('a document', () => {
  test('that is whole gives the recipient\'s key and the registers', () => {
    const read = verifier.verify(makeDocument(enclave, { publicKey }), Date.now());
    expect(read?.publicKey.equals(publicKey)).toBe(true);
    expect(read?.facts).toEqual({
      'kms:recipientattestation:imagesha384': 'a0'.repeat(48), 'kms:recipientattestation:pcr0': 'a0'.repeat(48),
      'kms:recipientattestation:pcr1': 'a1'.repeat(48), 'kms:recipientattestation:pcr2': 'a2'.repeat(48),
    });
  });

  test('of a TPM has names of its own', () => {
    expect(Object.keys(verifier.verify(makeDocument(enclave, { publicKey, tpm: true }), Date.now())?.facts ?? {})).toEqual([
      'kms:recipientattestation:nitrotpmpcr0', 'kms:recipientattestation:nitrotpmpcr1', 'kms:recipientattestation:nitrotpmpcr2',
    ]);
  });

  test('is refused when anything in it is changed', () => {
    const document = makeDocument(enclave, { publicKey });
    for (let i = 0; i < document.length; i += 7) {
      const bent = Buffer.from(document);
      bent[i] = (bent[i] ?? 0) ^ 1;
      expect(good(bent), `byte ${i}`).toBe(false);
    }
    for (let length = 0; length < document.length; length += 11) expect(good(document.subarray(0, length))).toBe(false);
    expect(good(Buffer.concat([document, Buffer.from([0])]))).toBe(false);
  });

  test('is refused when it is old, early, unsigned by its leaf, or says another algorithm', () => {
    expect(good(makeDocument(enclave, { publicKey, timestamp: Date.now() - 6 * 60_000 }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey, timestamp: Date.now() + 6 * 60_000 }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey, signer: issue({ subject: 'other' }).key }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey, algorithm: -7 }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey, digest: 'SHA256' }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey: null }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey, pcrs: new Map() }))).toBe(false);
    expect(good(makeDocument(enclave, { publicKey, pcrs: new Map([[0, Buffer.alloc(5)]]) }))).toBe(false);
  });
});

describe('a chain', () => {
  const with_ = (wish: Parameters<typeof makeEnclave>[0]) => good(makeDocument(makeEnclave({ root: enclave.root, ...wish }), { publicKey }));
  const hour = 3_600_000;

  test('ends in a trusted root', () => {
    expect(with_({})).toBe(true);
    expect(good(makeDocument(makeEnclave(), { publicKey }))).toBe(false);
    // The same name is not the same root.
    expect(with_({ root: issue({ subject: 'development root', authority: true }) })).toBe(false);
  });

  test('is in its time', () => {
    expect(with_({ leaf: { untilMs: Date.now() - hour } })).toBe(false);
    expect(with_({ middle: { fromMs: Date.now() + hour, untilMs: Date.now() + 2 * hour } })).toBe(false);
  });

  test('is made of authorities, and as long as they allow', () => {
    expect(with_({ middle: { authority: false } })).toBe(false);
    expect(with_({ leaf: { authority: true } })).toBe(false);
    const middle = issue({ subject: 'zone', authority: true, pathLength: 0 }, enclave.root);
    const lower = issue({ subject: 'host', authority: true }, middle);
    const leaf = issue({ subject: 'instance' }, lower);
    expect(good(makeDocument({ root: enclave.root, above: [middle, lower], leaf }, { publicKey }))).toBe(false);
  });

  test('is signed link by link', () => {
    const forged = { ...issue({ subject: 'zone', authority: true }), subject: 'zone' };
    expect(good(makeDocument({ root: enclave.root, above: [forged], leaf: issue({ subject: 'instance' }, forged) }, { publicKey }))).toBe(false);
    expect(good(makeDocument({ root: enclave.root, above: [], leaf: makeEnclave().leaf }, { publicKey }))).toBe(false);
    expect(with_({ leaf: { curve: 'prime256v1' } })).toBe(false);
  });
});

test('any bytes at all are answered', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => { expect(good(Buffer.from(bytes))).toBe(false); }));
});

describe('CBOR', () => {
  test('reads what was written', () => {
    const value = new Map<string, number | Buffer | readonly string[]>([['a', 1], ['b', Buffer.from('x')], ['c', ['d', 'e']], ['n', 1_795_324_130_893]]);
    expect(decodeCbor(cbor(value))).toEqual(value);
  });
  const bad: readonly [string, string][] = [
    ['indefinite', '9f01ff'], ['cut off', '820'], ['a key twice', 'a2616101616102'], ['a float', 'f90000'], ['bytes behind', '0000'], ['a huge array', '9bffffffffffffffff'],
    ['bad UTF-8', '61ff'], ['too deep', '81'.repeat(40) + '00'], ['a list as key', 'a1800'],
  ];
  test.each(bad)('%s', (_, hex) => { expect(() => decodeCbor(Buffer.from(hex, 'hex'))).toThrow(CborError); });
});
