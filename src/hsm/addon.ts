import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * The native addon as it is: one flat function for each call of native/module/hsm.h. Handles and
 * lengths are numbers; `room` undefined asks for the length; a trailing `…Params` are the seven places
 * of {@link AddonParams}. Nobody but native.ts, payload.ts and tests calls these.
 */
export interface Addon extends TokenFileAddon {
  open(errorClass: new (code: never, message: string) => Error, arenaSize: number, approvedOnly: boolean): void;
  close(): boolean;
  describe(): Record<string, unknown>;
  selfTest(name?: string): string | undefined;
  selfTestSlow(name?: string): Promise<string | undefined>;
  selfTestAt(index: number): string | undefined;
  zeroise(why: string): void;
  mechAt(index: number): AddonMechanism | undefined;
  mechDescribe(mech: number): AddonMechanism;

  rootCreate(mode: number, how: number, path: string, header: Uint8Array): number;
  rootCreateSlow(mode: number, how: number, path: string, header: Uint8Array): Promise<number>;
  rootOpen(header: Uint8Array, how: number, path: string): void;
  rootOpenSlow(header: Uint8Array, how: number, path: string): Promise<void>;
  rootMake(mode: number, how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array, shares: Uint8Array | undefined, header: Uint8Array): number[];
  rootMakeSlow(mode: number, how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array, shares: Uint8Array | undefined, header: Uint8Array): Promise<number[]>;
  rootOpenSlot(header: Uint8Array, how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array): void;
  rootOpenSlotSlow(header: Uint8Array, how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array): Promise<void>;
  rootSlotAt(header: Uint8Array, index: number, note: Uint8Array): number[];
  rootSlotAdd(header: Uint8Array, how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array, shares: Uint8Array | undefined, fresh: Uint8Array): number[];
  rootSlotAddSlow(header: Uint8Array, how: number, path: string, shape: number, note: Uint8Array, answer: Uint8Array, shares: Uint8Array | undefined, fresh: Uint8Array): Promise<number[]>;
  rootSlotRemove(header: Uint8Array, index: number, fresh: Uint8Array): number;
  sharePut(header: Uint8Array, purpose: string, share: Uint8Array): number[];
  shareDrop(): void;
  rootClose(): void;
  partitionCreate(account: string, sealed: Uint8Array): [partition: number, length: number];
  partitionOpen(account: string, sealed: Uint8Array): number;
  partitionClose(partition: number): void;
  partitionEphemeral(label: string): number;
  partitionRestrict(partition: number): void;

  tokenCreate(device: string, soPin: Uint8Array, strict: boolean, header: Uint8Array): [partition: number, length: number];
  tokenCreateSlow(device: string, soPin: Uint8Array, strict: boolean, header: Uint8Array): Promise<[partition: number, length: number]>;
  tokenOpen(device: string, header: Uint8Array): number;
  tokenRefresh(partition: number, header: Uint8Array): void;
  tokenDescribe(partition: number): { id: string; strict: boolean; userPin: boolean; userTries: number; soTries: number; iterations: number };
  tokenReset(partition: number, soPin: Uint8Array, strict: boolean, header: Uint8Array): number;
  tokenResetSlow(partition: number, soPin: Uint8Array, strict: boolean, header: Uint8Array): Promise<number>;
  tokenPin(session: number, role: number, old: Uint8Array, pin: Uint8Array, header: Uint8Array): number;
  tokenPinSlow(session: number, role: number, old: Uint8Array, pin: Uint8Array, header: Uint8Array): Promise<number>;
  tokenPolicy(partition: number, soPin: Uint8Array, userPin: Uint8Array, strict: boolean, header: Uint8Array): number;
  tokenPolicySlow(partition: number, soPin: Uint8Array, userPin: Uint8Array, strict: boolean, header: Uint8Array): Promise<number>;
  tokenExport(session: number, device: string, passphrase: Uint8Array, fileSha256: Uint8Array, ticket: Uint8Array): number;
  tokenExportSlow(session: number, device: string, passphrase: Uint8Array, fileSha256: Uint8Array, ticket: Uint8Array): Promise<number>;
  tokenImport(device: string, passphrase: Uint8Array, ticket: Uint8Array, fileSha256: Uint8Array): void;
  tokenImportSlow(device: string, passphrase: Uint8Array, ticket: Uint8Array, fileSha256: Uint8Array): Promise<void>;
  tokenTag(partition: number, isPrivate: boolean, attribute: number, value: Uint8Array, tag: Uint8Array): number;
  tokenMac(partition: number, bytes: Uint8Array, mac: Uint8Array): number;

  sessionService(): number;
  sessionOpen(partition: number, flags: number): number;
  sessionClose(session: number): void;
  sessionRole(session: number): number;
  login(session: number, role: number, pin: Uint8Array): void;
  loginSlow(session: number, role: number, pin: Uint8Array): Promise<void>;
  logout(session: number): void;
  pinSet(session: number, role: number, pin: Uint8Array): void;
  pinSetSlow(session: number, role: number, pin: Uint8Array): Promise<void>;
  pinCheck(session: number, pin: Uint8Array): void;
  pinCheckSlow(session: number, pin: Uint8Array): Promise<void>;

  credentialCreate(service: number, partition: number, id: string, principal: string, expiresMs: number, source: number, from: string, shown: Uint8Array | undefined, sealed: Uint8Array): [key: number, sealed: number, shown: number];
  credentialWrite(service: number, key: number, path: string, profile: string): void;
  credentialOpen(service: number, partition: number, id: string, sealed: Uint8Array): number;
  credentialClose(service: number, key: number): void;
  sigv4Verify(credential: number, date: string, region: string, service: string, timestamp: string, canonical: Uint8Array, payloadHash: string, body: Uint8Array, signature: string, nowMs: number, allowUnsignedPayload: boolean): number;

  generate(session: number, partition: number, type: number, param: number, attributes: Uint8Array | undefined): number;
  generatePair(session: number, partition: number, type: number, param: number, publicAttributes: Uint8Array | undefined, attributes: Uint8Array | undefined, withPublic: boolean, ...params: AddonParams): [key: number, publicKey: number];
  generatePairSlow(session: number, partition: number, type: number, param: number, publicAttributes: Uint8Array | undefined, attributes: Uint8Array | undefined, withPublic: boolean, ...params: AddonParams): Promise<[key: number, publicKey: number]>;
  create(session: number, partition: number, attributes: Uint8Array | undefined): number;
  createSlow(session: number, partition: number, attributes: Uint8Array | undefined): Promise<number>;
  copy(session: number, key: number, attributes: Uint8Array | undefined): number;
  destroy(session: number, key: number): void;
  attrGet(session: number, key: number, type: number, room: Uint8Array | undefined): number;
  attrSet(session: number, key: number, attributes: Uint8Array | undefined): void;
  keyDescribe(session: number, key: number): AddonKey;
  /** room[0]: cursor, in and out. */
  find(session: number, attributes: Uint8Array | undefined, room: Float64Array): number;
  publicKey(session: number, key: number, room: Uint8Array | undefined): number;
  objectSeal(session: number, key: number, objectId: string, materialId: string, room: Uint8Array | undefined): number;
  objectOpen(session: number, partition: number, objectId: string, materialId: string, sealed: Uint8Array): number;
  objectClose(session: number, key: number): void;

  encrypt(session: number, key: number, mech: number, input: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): number;
  encryptSlow(session: number, key: number, mech: number, input: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  decrypt(session: number, key: number, mech: number, input: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): number;
  decryptSlow(session: number, key: number, mech: number, input: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  sign(session: number, key: number, mech: number, message: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): number;
  signSlow(session: number, key: number, mech: number, message: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  verify(session: number, key: number, mech: number, message: Uint8Array, signature: Uint8Array, ...params: AddonParams): boolean;
  verifySlow(session: number, key: number, mech: number, message: Uint8Array, signature: Uint8Array, ...params: AddonParams): Promise<boolean>;
  recover(session: number, key: number, mech: number, signature: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): number;
  recoverSlow(session: number, key: number, mech: number, signature: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  digest(session: number, mech: number, message: Uint8Array, room: Uint8Array | undefined, ...params: AddonParams): number;
  derive(session: number, base: number, mech: number, attributes: Uint8Array | undefined, ...params: AddonParams): number;
  deriveSlow(session: number, base: number, mech: number, attributes: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  wrap(session: number, kek: number, mech: number, key: number, room: Uint8Array | undefined, ...params: AddonParams): number;
  wrapSlow(session: number, kek: number, mech: number, key: number, room: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  unwrap(session: number, kek: number, mech: number, wrapped: Uint8Array, attributes: Uint8Array | undefined, ...params: AddonParams): number;
  unwrapSlow(session: number, kek: number, mech: number, wrapped: Uint8Array, attributes: Uint8Array | undefined, ...params: AddonParams): Promise<number>;
  encapsulate(session: number, key: number, mech: number, attributes: Uint8Array | undefined, ciphertext: Uint8Array, ...params: AddonParams): [key: number, length: number];
  decapsulate(session: number, key: number, mech: number, ciphertext: Uint8Array, attributes: Uint8Array | undefined, ...params: AddonParams): number;
  random(session: number, room: Uint8Array): number;
  randomAdd(session: number, input: Uint8Array): void;
  approved(): boolean;
  approvedCarry(approved: boolean): void;
  agree(session: number, key: number, mech: number, secret: Uint8Array, ...params: AddonParams): number;
  kemSeal(session: number, key: number, mech: number, ciphertext: Uint8Array, secret: Uint8Array): [ciphertext: number, secret: number];
  kemOpen(session: number, key: number, mech: number, ciphertext: Uint8Array, secret: Uint8Array): number;
  batch(session: number, use: number, key: number, mech: number, input: Uint8Array, lengths: Uint32Array, room: Uint8Array, outLengths: Uint32Array, ...params: AddonParams): number;
  batchSlow(session: number, use: number, key: number, mech: number, input: Uint8Array, lengths: Uint32Array, room: Uint8Array, outLengths: Uint32Array, ...params: AddonParams): Promise<number>;

  begin(session: number, use: number, key: number, mech: number, ...params: AddonParams): void;
  /** -1: the signature does not fit. So `final`. */
  once(session: number, use: number, input: Uint8Array, signature: Uint8Array | undefined, room: Uint8Array | undefined): number;
  onceSlow(session: number, use: number, input: Uint8Array, signature: Uint8Array | undefined, room: Uint8Array | undefined): Promise<number>;
  update(session: number, use: number, input: Uint8Array, room: Uint8Array | undefined): number;
  updateKey(session: number, key: number): void;
  final(session: number, use: number, signature: Uint8Array | undefined, room: Uint8Array | undefined): number;
  finalSlow(session: number, use: number, signature: Uint8Array | undefined, room: Uint8Array | undefined): Promise<number>;
  cancel(session: number, use: number): void;
  digestCopy(from: number, to: number): void;

  envelopeSeal(session: number, key: number, pairs: Uint8Array, plain: Uint8Array, room: Uint8Array | undefined): number;
  envelopeOpen(session: number, key: number, pairs: Uint8Array, blob: Uint8Array, room: Uint8Array | undefined): number;
  envelopeMove(session: number, from: number, fromPairs: Uint8Array, blob: Uint8Array, to: number, toPairs: Uint8Array, room: Uint8Array | undefined): number;
  envelopePeek(blob: Uint8Array): { account: string; objectId: string; materialId: string } | undefined;
  dataKey(session: number, key: number, pairs: Uint8Array, length: number, plain: Uint8Array | undefined, blob: Uint8Array): number;
  dataKeyPair(session: number, key: number, pairs: Uint8Array, type: number, param: number, spki: Uint8Array, plain: Uint8Array | undefined, blob: Uint8Array): [spki: number, plain: number, blob: number];
  dataKeyPairSlow(session: number, key: number, pairs: Uint8Array, type: number, param: number, spki: Uint8Array, plain: Uint8Array | undefined, blob: Uint8Array): Promise<[spki: number, plain: number, blob: number]>;

  recipientOpen(session: number, key: number, pairs: Uint8Array, blob: Uint8Array, recipient: Uint8Array, cms: Uint8Array): number;
  recipientDecrypt(session: number, key: number, mech: number, input: Uint8Array, recipient: Uint8Array, cms: Uint8Array, ...params: AddonParams): number;
  recipientDecryptSlow(session: number, key: number, mech: number, input: Uint8Array, recipient: Uint8Array, cms: Uint8Array, ...params: AddonParams): Promise<number>;
  recipientDataKey(session: number, key: number, pairs: Uint8Array, length: number, recipient: Uint8Array, cms: Uint8Array, blob: Uint8Array): [cms: number, blob: number];
  recipientDataKeyPair(session: number, key: number, pairs: Uint8Array, type: number, param: number, recipient: Uint8Array, spki: Uint8Array, cms: Uint8Array, blob: Uint8Array): [spki: number, cms: number, blob: number];
  recipientDataKeyPairSlow(session: number, key: number, pairs: Uint8Array, type: number, param: number, recipient: Uint8Array, spki: Uint8Array, cms: Uint8Array, blob: Uint8Array): Promise<[spki: number, cms: number, blob: number]>;
  recipientRandom(session: number, length: number, recipient: Uint8Array, cms: Uint8Array): number;
  recipientAgree(session: number, key: number, mech: number, recipient: Uint8Array, cms: Uint8Array, ...params: AddonParams): number;
  importBegin(service: number, partition: number, objectId: string, wrap: number, bits: number, expiresMs: number, spki: Uint8Array, token: Uint8Array): [spki: number, token: number];
  importBeginSlow(service: number, partition: number, objectId: string, wrap: number, bits: number, expiresMs: number, spki: Uint8Array, token: Uint8Array): Promise<[spki: number, token: number]>;
  importFinish(service: number, partition: number, objectId: string, token: Uint8Array, wrapped: Uint8Array, nowMs: number, type: number, param: number, attributes: Uint8Array | undefined, fingerprint: Uint8Array): number;
  importFinishSlow(service: number, partition: number, objectId: string, token: Uint8Array, wrapped: Uint8Array, nowMs: number, type: number, param: number, attributes: Uint8Array | undefined, fingerprint: Uint8Array): Promise<number>;
  keepSeal(service: number, partition: number, use: number, id: string, secret: Uint8Array, sealed: Uint8Array): number;
  keepOpen(service: number, partition: number, id: string, sealed: Uint8Array, plain: Uint8Array): number;
  keepSign(service: number, partition: number, id: string, sealed: Uint8Array, date: string, region: string, target: string, timestamp: string, canonical: Uint8Array, payloadHash: string, body: Uint8Array, signature: Uint8Array): number;
  recordMac(table: string, key: string, version: number, body: Uint8Array, mac: Uint8Array): number;
  recordCheck(table: string, key: string, version: number, body: Uint8Array, mac: Uint8Array): boolean;

  payloadAlloc(length: number): ArrayBuffer;
  payloadFree(buffer: ArrayBuffer): void;
  payloadWipe(bytes: Uint8Array): void;
  /** spans: [length of json, length of blobs, offset, length, …]; answers how many spans. */
  jsonCut(body: Uint8Array, names: Uint8Array, json: Uint8Array, blobs: Uint8Array, spans: Uint32Array): number;
  base64(bytes: Uint8Array, room: Uint8Array | undefined): number;
  sha256(bytes: Uint8Array, digest: Uint8Array): number;
}

/** The calls of native/token/token.h. A token that is attached and a PIN that was read are numbers until dropped. */
export interface TokenFileAddon {
  /** how: 0 file, 1 environment variable, 2 line of standard input, 3 terminal, 4 terminal, twice. */
  tokenFilePinRead(how: number, from: string): number;
  tokenFilePinTake(bytes: Uint8Array): number;
  tokenFileDrop(number: number): void;
  tokenFileHome(): string;
  tokenFileScan(home: string): number[];
  tokenFileMakeSlow(home: string, number: number, label: string, soPin: number, strict: boolean): Promise<number>;
  tokenFileAttach(home: string, number: number): number;
  tokenFileDelete(home: string, number: number): void;
  tokenFilePartition(token: number): number;
  tokenFileAbout(token: number): AddonToken;
  tokenFileResetSlow(token: number, label: string, soPin: number, strict: boolean): Promise<void>;
  tokenFilePolicySlow(token: number, soPin: number, userPin: number | undefined, strict: boolean): Promise<void>;
  tokenFileLoginSlow(token: number, session: number, role: number, pin: number): Promise<void>;
  tokenFilePinCheckSlow(token: number, session: number, pin: number): Promise<void>;
  tokenFileLogout(token: number, session: number): void;
  tokenFilePinSlow(token: number, session: number, role: number, old: number | undefined, pin: number): Promise<void>;
  tokenFilePut(token: number, session: number, key: number, publicKey: number): void;
  tokenFileHolds(token: number, session: number, key: number): boolean;
  tokenFileChange(token: number, session: number, key: number, attributes: Uint8Array | undefined): void;
  tokenFileRemove(token: number, session: number, key: number): void;
  tokenFileFind(token: number, session: number, attributes: Uint8Array | undefined): number[];
  tokenFileBackupSlow(token: number, session: number, home: string, passphrase: number | undefined, path: string): Promise<void>;
  /** Answers another number than was given when the same token is there already. */
  tokenFileRestoreSlow(home: string, number: number, passphrase: number | undefined, path: string, replace: boolean): Promise<number>;
  tokenFileSofthsmLabel(folder: string): string;
  tokenFileImportSofthsmSlow(token: number, session: number, folder: string, pin: number, partial: boolean): Promise<AddonImport>;
}

/** What became of the objects of another token. */
export interface AddonImport {
  readonly moved: number;
  /** How many did not move, the first of them in `skipped`. */
  readonly left: number;
  /** Nothing was moved, because some cannot be. */
  readonly refused: boolean;
  readonly skipped: readonly { readonly class: number; readonly type: number; readonly label: string; readonly why: string }[];
}

export interface AddonToken {
  readonly label: string;
  readonly id: string;
  readonly strict: boolean;
  readonly userPin: boolean;
  readonly userTries: number;
  readonly soTries: number;
  readonly iterations: number;
}

type Maybe<T> = T | undefined;

/** Numbers (see native/napi/args.h), iv, aad, label, salt, peer, data. All may be left out. */
export type AddonParams = [numbers?: Maybe<Uint32Array>, iv?: Maybe<Uint8Array>, aad?: Maybe<Uint8Array>, label?: Maybe<Uint8Array>, salt?: Maybe<Uint8Array>, peer?: Maybe<Uint8Array>, data?: Maybe<Uint8Array>];

export interface AddonMechanism {
  readonly id: number;
  readonly name: string;
  readonly keyType: number;
  readonly minBits: number;
  readonly maxBits: number;
  readonly flags: number;
}

export interface AddonKey {
  readonly class: number;
  readonly spec: { readonly type: number; readonly param: number };
  readonly use: number;
  readonly sensitive: boolean;
  readonly extractable: boolean;
  readonly alwaysSensitive: boolean;
  readonly neverExtractable: boolean;
  readonly local: boolean;
  readonly loaded: boolean;
  readonly partition: number;
}

/** Where `npm run build` puts it. */
export const addonPath = resolve(import.meta.dirname, '../../build/Release/strongroom.node');
/** Where `npm run build:lab` puts the laboratory's (docs/laboratory.md). */
export const labAddonPath = resolve(import.meta.dirname, '../../build/lab/Release/strongroom.node');

/** The laboratory's own calls; the addon of a release has none of them. */
export interface LabAddon extends Addon {
  lab(setting: string): void;
  labNoise(source: number, room: Uint8Array): number;
}

/** Throws an Error of one sentence when it was not built. STRONGROOM_MODE=lab asks for the laboratory's. */
export function loadAddon(path: string = process.env['STRONGROOM_MODE'] === 'lab' ? labAddonPath : addonPath): Addon {
  if (!existsSync(path)) throw new Error(`${path} is missing: run \`npm run build${path === labAddonPath ? ':lab' : ''}\``);
  return createRequire(import.meta.url)(path) as Addon;
}
