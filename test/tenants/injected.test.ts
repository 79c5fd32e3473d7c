// The gate above is made to let everybody in. Another account's keys stay shut all the same: the sealed key says whom it admits, and the core reads it.
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Authoriser } from '../../src/kms/authorise.ts';
import { requests, takesAlias, type Things } from './requests.ts';
import { furnish, openTwo, type Two, type Who } from './two.ts';

let two: Two;
let theirs: Things;
let own: Things;
const aliases = ['symmetric', 'sign', 'mac', 'agree', 'kem'] as const;
beforeAll(async () => {
  two = await openTwo('production', { gridMs: 1 });
  theirs = await furnish(two, two.a.root);
  own = await furnish(two, two.b.root);
  for (const kind of aliases) await two.call(two.a.root, 'CreateAlias', { AliasName: `alias/${kind}`, TargetKeyId: theirs.keys[kind] });
  await two.call(two.b.root, 'CreateAlias', { AliasName: 'alias/own', TargetKeyId: own.keys.symmetric });
});
afterEach(() => { vi.restoreAllMocks(); });
afterAll(() => two.close());

/** The bug: whatever is asked, of whatever key, is allowed. */
const letEverybodyIn = (): void => { vi.spyOn(Authoriser.prototype, 'check').mockResolvedValue({ grant: undefined }); };

const people = (): readonly Who[] => [two.b.root, two.b.mighty, two.b.idle];

async function stateOf(things: Things): Promise<unknown> {
  const asked = await Promise.all(Object.values(things.keys).map(async (KeyId) => [
    await two.call(two.a.root, 'DescribeKey', { KeyId }), await two.call(two.a.root, 'GetKeyPolicy', { KeyId }), await two.call(two.a.root, 'ListGrants', { KeyId }), await two.call(two.a.root, 'ListResourceTags', { KeyId }),
  ]));
  return asked;
}

it('the bug is one: its own account\'s user who may do nothing may do everything', async () => {
  expect(await two.code(two.a.idle, 'Encrypt', requests['Encrypt']!.input(theirs, theirs.keys.symmetric, two.a.idle.arn))).toBe('AccessDeniedException');
  letEverybodyIn();
  expect(await two.code(two.a.idle, 'Encrypt', requests['Encrypt']!.input(theirs, theirs.keys.symmetric, two.a.idle.arn))).toBe('ok');
});

describe('with a gate that lets everybody in', () => {
  it.each(Object.entries(requests))('%s of another account\'s key is refused', async (operation, { kind, input }) => {
    const before = await stateOf(theirs);
    letEverybodyIn();
    for (const who of people()) {
      expect(await two.code(who, operation, input(theirs, theirs.keys[kind], who.arn))).toBe('AccessDeniedException');
      expect(await two.code(who, operation, input(own, theirs.keys[kind], who.arn))).toBe('AccessDeniedException');
    }
    vi.restoreAllMocks();
    expect(await stateOf(theirs)).toEqual(before);
  });

  it('blobs of another account are not opened, nor made for it', async () => {
    letEverybodyIn();
    for (const who of people()) {
      expect(await two.code(who, 'Decrypt', { CiphertextBlob: theirs.blob })).toBe('AccessDeniedException');
      expect(await two.code(who, 'ReEncrypt', { CiphertextBlob: theirs.blob, DestinationKeyId: own.keys.symmetric })).toBe('AccessDeniedException');
      expect(await two.code(who, 'ReEncrypt', { CiphertextBlob: own.blob, DestinationKeyId: theirs.keys.symmetric })).toBe('AccessDeniedException');
      expect(await two.code(who, 'RetireGrant', { GrantToken: theirs.grantToken })).toBe('AccessDeniedException');
    }
  });

  it('nor by any request at all', async () => {
    const symmetric = fc.record({ EncryptionContext: fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), fc.string({ minLength: 1, maxLength: 8 }), { maxKeys: 2 }) }, { requiredKeys: [] });
    const more = fc.record({ DryRun: fc.boolean(), GrantTokens: fc.constantFrom([], [theirs.grantToken], [own.grantToken]) }, { requiredKeys: [] });
    const before = await stateOf(theirs);
    letEverybodyIn();
    await fc.assert(fc.asyncProperty(
      fc.constantFrom(...Object.keys(requests)), fc.nat(2), fc.boolean(), fc.boolean(), symmetric, more,
      async (operation, person, byAlias, withTheirs, context, rest) => {
        const { kind, input, cryptographic } = requests[operation]!;
        const who = people()[person]!;
        const alias = theirs.keys[kind].replace(/key\/.*/, `alias/${kind}`);
        const key = byAlias && takesAlias.includes(operation) && aliases.some((name) => name === kind) ? alias : theirs.keys[kind];
        const dressed = { ...input(withTheirs ? theirs : own, key, who.arn), ...(cryptographic === true && operation !== 'GetPublicKey' ? rest : {}), ...(['Encrypt', 'Decrypt'].includes(operation) ? context : {}) };
        expect([operation, await two.code(who, operation, dressed)]).toEqual([operation, 'AccessDeniedException']);
      },
    ), { numRuns: 400 });
    vi.restoreAllMocks();
    expect(await stateOf(theirs)).toEqual(before);
  }, 240_000);
});

describe('with the second gate open too', () => {
  it.each(Object.entries(requests).filter(([, { cryptographic }]) => cryptographic === true))('the core does not do %s', async (operation, { kind, input }) => {
    letEverybodyIn();
    vi.spyOn(two.room.core, 'describeKey').mockReturnValue({ class: 0, spec: { type: 0, param: 0 }, use: 0, sensitive: true, extractable: false, local: true, loaded: true });
    for (const who of people()) {
      two.room.reports.length = 0;
      expect(await two.code(who, operation, input(theirs, theirs.keys[kind], who.arn))).toBe('KMSInternalException');
      expect(two.room.reports).toEqual([`${operation} failed: HSM_E_PARTITION`]);
    }
    // The owner's own are let through by the same core, past the same two gates.
    expect(await two.code(two.a.idle, operation, input(theirs, theirs.keys[kind], two.a.idle.arn))).toBe('ok');
    two.room.reports.length = 0;
  });

  it('nor does it move a blob in or out', async () => {
    letEverybodyIn();
    vi.spyOn(two.room.core, 'describeKey').mockReturnValue({ class: 0, spec: { type: 0, param: 0 }, use: 0, sensitive: true, extractable: false, local: true, loaded: true });
    for (const [CiphertextBlob, DestinationKeyId] of [[theirs.blob, own.keys.symmetric], [own.blob, theirs.keys.symmetric]]) {
      two.room.reports.length = 0;
      expect(await two.code(two.b.root, 'ReEncrypt', { CiphertextBlob, DestinationKeyId })).toBe('KMSInternalException');
      expect(two.room.reports).toEqual(['ReEncrypt failed: HSM_E_PARTITION']);
    }
  });
});
