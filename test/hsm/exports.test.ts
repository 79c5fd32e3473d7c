import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadAddon } from '../../src/hsm/addon.ts';

const header = readFileSync(new URL('../../native/module/hsm.h', import.meta.url), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
const calls = [...header.matchAll(/\bhsm_(\w+)\([^;{]*\);/g)].map(([, name]) => camel(name!));

/** Calls that may run on the queue: slow mechanisms, key generation, PIN and passphrase derivation. */
const slow = [
  'batch', 'create', 'dataKeyPair', 'decrypt', 'derive', 'encrypt', 'final', 'generatePair', 'importBegin', 'importFinish', 'login', 'once', 'pinCheck', 'pinSet', 'recipientDataKeyPair', 'recipientDecrypt', 'recover', 'rootCreate',
  'rootMake', 'rootOpen', 'rootOpenSlot', 'rootSlotAdd', 'selfTest', 'sign', 'tokenCreate', 'tokenExport', 'tokenImport', 'tokenPin', 'tokenPolicy', 'tokenReset', 'unwrap', 'verify', 'wrap',
].map((name) => `${name}Slow`);

/** By what a caller gets: a result that is bytes is written into the caller's room. */
const giving = {
  'nothing, a handle, a number or a flag': [
    'approved', 'approvedCarry', 'attrSet', 'begin', 'cancel', 'close', 'copy', 'create', 'credentialClose', 'credentialOpen', 'credentialWrite',
    'decapsulate', 'derive', 'destroy', 'digestCopy', 'find', 'generate', 'generatePair', 'importFinish', 'keyDescribe', 'login', 'logout', 'mechAt', 'mechDescribe', 'objectClose',
    'objectOpen', 'open', 'partitionClose', 'partitionEphemeral', 'partitionOpen', 'partitionRestrict', 'pinCheck', 'pinSet', 'randomAdd', 'recordCheck', 'rootClose',
    'rootOpen', 'rootOpenSlot', 'selfTest', 'selfTestAt', 'sessionClose', 'sessionOpen', 'sessionRole', 'sessionService', 'sigv4Verify', 'tokenDescribe', 'tokenImport', 'tokenOpen',
    'tokenRefresh', 'unwrap', 'updateKey', 'shareDrop', 'sharePut', 'verify', 'zeroise', 'describe', 'envelopePeek',
  ],
  'ciphertext, signature, MAC, digest, public key, sealed or wrapped object, random': [
    'attrGet', 'batch', 'digest', 'encapsulate', 'encrypt', 'envelopeMove', 'envelopeSeal', 'final', 'importBegin', 'keepSeal', 'keepSign', 'objectSeal', 'once', 'partitionCreate',
    'publicKey', 'random', 'recipientAgree', 'recipientDataKey', 'recipientDataKeyPair', 'recipientDecrypt', 'recipientOpen', 'recipientRandom', 'recordMac', 'rootCreate', 'rootSlotAt', 'rootSlotRemove', 'sha256', 'sign', 'tokenCreate', 'tokenExport', 'tokenMac', 'tokenPin', 'tokenPolicy', 'tokenReset', 'tokenTag', 'update', 'wrap',
  ],
  'payload by contract': ['agree', 'credentialCreate', 'dataKey', 'dataKeyPair', 'decrypt', 'envelopeOpen', 'keepOpen', 'kemOpen', 'kemSeal', 'recover', 'rootMake', 'rootSlotAdd'],
  'bytes the caller gave': ['base64', 'jsonCut', 'payloadAlloc', 'payloadFree', 'payloadWipe'],
} as const;

/** Calls of native/token/token.h, on tokens and PINs held as numbers: none gives bytes but attribute values that leave anyway. */
const tokenFiles = [
  'About', 'Attach', 'BackupSlow', 'Change', 'Delete', 'Drop', 'Find', 'Holds', 'Home', 'ImportSofthsmSlow', 'LoginSlow', 'Logout', 'MakeSlow', 'Partition', 'PinCheckSlow', 'PinRead', 'PinSlow', 'PinTake', 'PolicySlow', 'Put',
  'Remove', 'ResetSlow', 'RestoreSlow', 'Scan', 'SofthsmLabel',
].map((name) => `tokenFile${name}`);

test('the addon exports exactly these names', () => {
  expect(Object.keys(loadAddon()).sort()).toEqual([...Object.values(giving).flat(), ...slow, ...tokenFiles].sort());
});

test('it exports every call of hsm.h, and nothing that is no call', () => {
  const names = Object.keys(loadAddon()).filter((name) => !tokenFiles.includes(name));
  expect(calls.length).toBeGreaterThan(80);
  expect(calls.filter((call) => !names.includes(call))).toEqual([]);
  expect(names.filter((name) => !calls.includes(name.replace(/Slow$/, '')))).toEqual([]);
});

test('every export is a plain function', () => {
  for (const [name, value] of Object.entries(loadAddon())) expect([name, typeof value]).toEqual([name, 'function']);
});
