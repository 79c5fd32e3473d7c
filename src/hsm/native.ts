import { HsmError } from './core.ts';
import type {
  Attribute, Binding, Core, CoreInfo, CutJson, ImportCore, ImportWrap, KeepCore, KeepUse, KeyHandle, KeyInfo, KeySpec, MechanismInfo, MechanismParams, Mode, PartitionHandle,
  Payload, RecipientCore, SecretSource, SessionHandle, SigV4Request, SigV4Unsigned, Unseal,
} from './core.ts';
import { loadAddon, type Addon, type AddonParams } from './addon.ts';
import { packAttributes } from './attributes.ts';
import { MECH, SALT_DIGEST } from './numbers.ts';
import { PayloadPool } from './payload.ts';
import { AddonRootSlots } from './root.ts';
import { TokenFiles } from './token-files.ts';

export interface CoreOptions {
  /** Bytes of secret memory; 0 or left out: as RLIMIT_MEMLOCK allows, at most 64 MiB. */
  readonly arenaSize?: number;
  /** Refuse what the service indicator calls not approved. */
  readonly approvedOnly?: boolean;
  /** Another build of the addon than the one that belongs here. */
  readonly addon?: string;
}

/**
 * Powers the core on: secret memory, integrity, self-tests. Counted: several in one process share one
 * core, the last {@link Core.close} wipes it. Throws HsmError HSM_E_SELF_TEST, HSM_E_MEMORY.
 */
export function loadCore(options: CoreOptions = {}): NativeCore {
  const addon = loadAddon(options.addon);
  addon.open(HsmError, options.arenaSize ?? 0, options.approvedOnly ?? false);
  return new NativeCore(addon);
}

export type Role = 'public' | 'user' | 'officer' | 'caller' | 'context' | 'service';
const roles: readonly Role[] = ['public', 'user', 'officer', 'caller', 'context', 'service'];
const modes: readonly Mode[] = ['production', 'dev', 'lab'];
const importWraps: readonly ImportWrap[] = ['oaepSha1', 'oaepSha256', 'aesKeyWrapSha1', 'aesKeyWrapSha256'];
const READ_WRITE = 1;

export interface TokenInfo {
  /** 32 hex digits. */
  readonly id: string;
  readonly strict: boolean;
  /** The user's PIN was set. */
  readonly userPin: boolean;
  /** Tries left; 0: locked. */
  readonly userTries: number;
  readonly soTries: number;
  readonly iterations: number;
}

/** Hands out what the core answers. See {@link Core}; what is here beside it serves local programs. */
export class NativeCore implements Core, ImportCore, KeepCore, RecipientCore {
  readonly #addon: Addon;
  readonly #payloads: PayloadPool;
  /** Where public results land before they are copied out at their length. */
  readonly #desk = Buffer.allocUnsafeSlow(65536);
  readonly #numbers = new Uint32Array(12);
  #cut = new Uint32Array(34);
  #tokenFiles: TokenFiles | undefined;
  readonly #take = (length: number): Payload => this.#payloads.take(length);
  readonly #names = new WeakMap<readonly string[], Buffer>();
  readonly rootSlots: AddonRootSlots;
  #open = true;

  constructor(addon: Addon) {
    this.#addon = addon;
    this.#payloads = new PayloadPool(addon);
    this.rootSlots = new AddonRootSlots(addon, this.#take);
  }

  // ---- the module

  describe(): CoreInfo {
    return this.#addon.describe() as unknown as CoreInfo;
  }

  selfTest(name?: string): { readonly failed?: string } {
    const failed = this.#addon.selfTest(name);
    return failed === undefined ? {} : { failed };
  }

  async selfTestSlow(name?: string): Promise<{ readonly failed?: string }> {
    const failed = await this.#addon.selfTestSlow(name);
    return failed === undefined ? {} : { failed };
  }

  selfTests(): readonly string[] {
    return upTo((i) => this.#addon.selfTestAt(i));
  }

  mechanisms(): readonly MechanismInfo[] {
    return upTo((i) => this.#addon.mechAt(i));
  }

  zeroise(why: string): void {
    this.#addon.zeroise(why);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#payloads.drain();
    this.#addon.close();
  }

  // ---- root key, partitions, tokens

  createRoot(mode: Mode, unseal: Unseal): Buffer {
    const number = modes.indexOf(mode);
    if (number < 0) throw new TypeError('mode must be production, dev or lab');
    return this.#answer(this.#addon.rootCreate(number, howNumber(unseal), unseal.path, this.#desk));
  }

  openRoot(header: Buffer, unseal: Unseal): void {
    this.#addon.rootOpen(header, howNumber(unseal), unseal.path);
  }

  closeRoot(): void {
    this.#addon.rootClose();
  }

  createPartition(account: string): { readonly sealed: Buffer; readonly partition: PartitionHandle } {
    const [partition, length] = this.#addon.partitionCreate(account, this.#desk);
    return { sealed: this.#answer(length), partition: partition as PartitionHandle };
  }

  openPartition(account: string, sealed: Buffer): PartitionHandle {
    return this.#addon.partitionOpen(account, sealed) as PartitionHandle;
  }

  closePartition(partition: PartitionHandle): void {
    this.#addon.partitionClose(partition);
  }

  ephemeralPartition(label: string): PartitionHandle {
    return this.#addon.partitionEphemeral(label) as PartitionHandle;
  }

  restrictPartition(partition: PartitionHandle): void {
    this.#addon.partitionRestrict(partition);
  }

  /** A partition opened by PIN. `device`: a folder the core keeps for itself. Store the header. */
  async createToken(device: string, officerPin: Uint8Array, strict: boolean): Promise<{ readonly partition: PartitionHandle; readonly header: Buffer }> {
    const room = Buffer.allocUnsafeSlow(4096);
    const [partition, length] = await this.#addon.tokenCreateSlow(device, officerPin, strict, room);
    return { partition: partition as PartitionHandle, header: Buffer.from(room.subarray(0, length)) };
  }

  openToken(device: string, header: Uint8Array): PartitionHandle {
    return this.#addon.tokenOpen(device, header) as PartitionHandle;
  }

  refreshToken(partition: PartitionHandle, header: Uint8Array): void {
    this.#addon.tokenRefresh(partition, header);
  }

  describeToken(partition: PartitionHandle): TokenInfo {
    return this.#addon.tokenDescribe(partition);
  }

  /** Sets a PIN; answers the new header, which holds once it is stored. */
  async setTokenPin(session: SessionHandle, role: 'user' | 'officer', old: Uint8Array, pin: Uint8Array): Promise<Buffer> {
    const room = Buffer.allocUnsafeSlow(4096);
    const length = await this.#addon.tokenPinSlow(session, roleNumber(role), old, pin, room);
    return Buffer.from(room.subarray(0, length));
  }

  /** Tokens at rest, as the Cryptoki module serves them. */
  get tokenFiles(): TokenFiles {
    return (this.#tokenFiles ??= new TokenFiles(this.#addon, (attributes, call) => this.#packed(attributes, call)));
  }

  // ---- sessions

  serviceSession(): SessionHandle {
    return this.#addon.sessionService() as SessionHandle;
  }

  openSession(partition: PartitionHandle, options?: { readonly readWrite?: boolean }): SessionHandle {
    return this.#addon.sessionOpen(partition, options?.readWrite === false ? 0 : READ_WRITE) as SessionHandle;
  }

  closeSession(session: SessionHandle): void {
    this.#addon.sessionClose(session);
  }

  role(session: SessionHandle): Role {
    return roles[this.#addon.sessionRole(session)] ?? 'public';
  }

  login(session: SessionHandle, role: 'user' | 'officer', pin: Uint8Array): void {
    this.#addon.login(session, roleNumber(role), pin);
  }

  async loginSlow(session: SessionHandle, role: 'user' | 'officer', pin: Uint8Array): Promise<void> {
    await this.#addon.loginSlow(session, roleNumber(role), pin);
  }

  logout(session: SessionHandle): void {
    this.#addon.logout(session);
  }

  setPin(session: SessionHandle, role: 'user' | 'officer', pin: Uint8Array): void {
    this.#addon.pinSet(session, roleNumber(role), pin);
  }

  async setPinSlow(session: SessionHandle, role: 'user' | 'officer', pin: Uint8Array): Promise<void> {
    await this.#addon.pinSetSlow(session, roleNumber(role), pin);
  }

  /** Is this the PIN of the user, who is logged in already? Throws HSM_E_PIN. */
  async checkPin(session: SessionHandle, pin: Uint8Array): Promise<void> {
    await this.#addon.pinCheckSlow(session, pin);
  }

  // ---- access keys

  createCredential(
    service: SessionHandle, partition: PartitionHandle, id: string, principal: string, expiresMs: number, source: SecretSource, show: boolean,
  ): { readonly key: KeyHandle; readonly sealed: Buffer; readonly shown?: Payload } {
    const from = source.from === 'env' ? source.name : source.from === 'file' ? source.path : '';
    const number = source.from === 'env' ? 1 : source.from === 'file' ? 2 : source.long === true ? 3 : 0;
    const shown = show ? this.payload(128) : undefined;
    try {
      const [key, length, shownLength] = this.#addon.credentialCreate(service, partition, id, principal, expiresMs, number, from, shown?.room, this.#desk);
      const made = { key: key as KeyHandle, sealed: this.#answer(length) };
      return shown === undefined ? made : { ...made, shown: shown.fill(shownLength) };
    } catch (error) {
      shown?.release();
      throw error;
    }
  }

  writeCredential(service: SessionHandle, key: KeyHandle, path: string, profile: string): void {
    this.#addon.credentialWrite(service, key, path, profile);
  }

  openCredential(service: SessionHandle, partition: PartitionHandle, id: string, sealed: Buffer): KeyHandle {
    return this.#addon.credentialOpen(service, partition, id, sealed) as KeyHandle;
  }

  closeCredential(service: SessionHandle, key: KeyHandle): void {
    this.#addon.credentialClose(service, key);
  }

  verifySigV4(credential: KeyHandle, r: SigV4Request): SessionHandle {
    return this.#addon.sigv4Verify(
      credential, r.date, r.region, r.service, r.timestamp, r.canonical, r.payloadHash ?? '', r.body, r.signature, r.nowMs,
      r.allowUnsignedPayload ?? false) as SessionHandle;
  }

  // ---- objects

  generate(session: SessionHandle, partition: PartitionHandle | 0, spec: KeySpec, attributes: readonly Attribute[]): KeyHandle {
    return this.#packed(attributes, (packed) => this.#addon.generate(session, partition, spec.type, spec.param, packed)) as KeyHandle;
  }

  async generatePair(session: SessionHandle, partition: PartitionHandle | 0, spec: KeySpec, attributes: readonly Attribute[]): Promise<KeyHandle> {
    const [key] = await this.#packed(attributes, (packed) => this.#addon.generatePairSlow(session, partition, spec.type, spec.param, undefined, packed, false));
    return key as KeyHandle;
  }

  /** Both halves as objects, each with attributes of its own. */
  async generateHalves(
    session: SessionHandle, spec: KeySpec, publicAttributes: readonly Attribute[], attributes: readonly Attribute[],
  ): Promise<{ readonly key: KeyHandle; readonly publicKey: KeyHandle }> {
    const [key, publicKey] = await this.#packed(publicAttributes, async (pub) =>
      await this.#packed(attributes, async (packed) => await this.#addon.generatePairSlow(session, 0, spec.type, spec.param, pub, packed, true)));
    return { key: key as KeyHandle, publicKey: publicKey as KeyHandle };
  }

  create(session: SessionHandle, partition: PartitionHandle | 0, attributes: readonly Attribute[]): KeyHandle {
    return this.#packed(attributes, (packed) => this.#addon.create(session, partition, packed)) as KeyHandle;
  }

  async createSlow(session: SessionHandle, partition: PartitionHandle | 0, attributes: readonly Attribute[]): Promise<KeyHandle> {
    return (await this.#packed(attributes, (packed) => this.#addon.createSlow(session, partition, packed))) as KeyHandle;
  }

  copy(session: SessionHandle, key: KeyHandle, attributes: readonly Attribute[]): KeyHandle {
    return this.#packed(attributes, (packed) => this.#addon.copy(session, key, packed)) as KeyHandle;
  }

  destroy(session: SessionHandle, key: KeyHandle): void {
    this.#addon.destroy(session, key);
  }

  getAttribute(session: SessionHandle, key: KeyHandle, type: number): Buffer {
    return this.#result((room) => this.#addon.attrGet(session, key, type, room));
  }

  setAttributes(session: SessionHandle, key: KeyHandle, attributes: readonly Attribute[]): void {
    this.#packed(attributes, (packed) => this.#addon.attrSet(session, key, packed));
  }

  describeKey(session: SessionHandle, key: KeyHandle): KeyInfo {
    return this.#addon.keyDescribe(session, key);
  }

  find(session: SessionHandle, attributes: readonly Attribute[]): readonly KeyHandle[] {
    const room = new Float64Array(65);
    const found: KeyHandle[] = [];
    return this.#packed(attributes, (packed) => {
      do {
        const count = this.#addon.find(session, packed, room);
        for (let i = 1; i <= count; i++) found.push(room[i] as KeyHandle);
        if (count === 0) break;
      } while (room[0] !== 0);
      return found;
    });
  }

  publicKey(session: SessionHandle, key: KeyHandle): Buffer {
    return this.#result((room) => this.#addon.publicKey(session, key, room));
  }

  seal(session: SessionHandle, key: KeyHandle, binding: Binding): Buffer {
    return this.#result((room) => this.#addon.objectSeal(session, key, binding.objectId, binding.materialId, room));
  }

  open(session: SessionHandle, partition: PartitionHandle, binding: Binding, sealed: Uint8Array): KeyHandle {
    return this.#addon.objectOpen(session, partition, binding.objectId, binding.materialId, sealed) as KeyHandle;
  }

  /** Forgets an opened object; its sealed form stays good. */
  closeObject(session: SessionHandle, key: KeyHandle): void {
    this.#addon.objectClose(session, key);
  }

  // ---- using keys

  encryptInto(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, plain: Uint8Array, out: Uint8Array): number {
    if (params === undefined) return this.#addon.encrypt(session, key, mech, plain, out);
    const figures = this.#figures(params);
    // An argument costs time even where it says nothing.
    if (params.label !== undefined || params.salt !== undefined || params.peer !== undefined || params.data !== undefined)
      return this.#addon.encrypt(session, key, mech, plain, out, figures, params.iv, params.aad, params.label, params.salt, params.peer, params.data);
    if (figures === undefined && params.iv === undefined && params.aad === undefined) return this.#addon.encrypt(session, key, mech, plain, out);
    return this.#addon.encrypt(session, key, mech, plain, out, figures, params.iv, params.aad);
  }

  decryptInto(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, out: Uint8Array): number {
    if (params === undefined) return this.#addon.decrypt(session, key, mech, input, out);
    const figures = this.#figures(params);
    // An argument costs time even where it says nothing.
    if (params.label !== undefined || params.salt !== undefined || params.peer !== undefined || params.data !== undefined)
      return this.#addon.decrypt(session, key, mech, input, out, figures, params.iv, params.aad, params.label, params.salt, params.peer, params.data);
    if (figures === undefined && params.iv === undefined && params.aad === undefined) return this.#addon.decrypt(session, key, mech, input, out);
    return this.#addon.decrypt(session, key, mech, input, out, figures, params.iv, params.aad);
  }

  async encryptSlow(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, plain: Uint8Array, out: Uint8Array): Promise<number> {
    return await this.#addon.encryptSlow(session, key, mech, plain, out, ...this.#params(params));
  }

  async decryptSlow(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array): Promise<Payload> {
    const plain = this.payload(input.length);
    try {
      return plain.fill(await this.#addon.decryptSlow(session, key, mech, input, plain.room, ...this.#params(params)));
    } catch (error) {
      plain.release();
      throw error;
    }
  }

  sign(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, message: Uint8Array): Buffer {
    const length = params === undefined
      ? this.#addon.sign(session, key, mech, message, this.#desk)
      : this.#addon.sign(session, key, mech, message, this.#desk, ...this.#params(params));
    return this.#answer(length);
  }

  async signSlow(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, message: Uint8Array): Promise<Buffer> {
    const signature = Buffer.allocUnsafeSlow(this.#addon.sign(session, key, mech, message, undefined, ...this.#params(params)));
    const length = await this.#addon.signSlow(session, key, mech, message, signature, ...this.#params(params));
    return length === signature.length ? signature : signature.subarray(0, length);
  }

  verify(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, message: Uint8Array, signature: Uint8Array): boolean {
    return params === undefined
      ? this.#addon.verify(session, key, mech, message, signature)
      : this.#addon.verify(session, key, mech, message, signature, ...this.#params(params));
  }

  digest(session: SessionHandle, mech: number, message: Uint8Array): Buffer {
    return this.#answer(this.#addon.digest(session, mech, message, this.#desk));
  }

  derive(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, attributes: readonly Attribute[]): KeyHandle {
    return this.#packed(attributes, (packed) => this.#addon.derive(session, key, mech, packed, ...this.#params(params))) as KeyHandle;
  }

  async deriveSlow(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, attributes: readonly Attribute[]): Promise<KeyHandle> {
    return (await this.#packed(attributes, (packed) => this.#addon.deriveSlow(session, key, mech, packed, ...this.#params(params)))) as KeyHandle;
  }

  wrap(session: SessionHandle, kek: KeyHandle, mech: number, params: MechanismParams | undefined, key: KeyHandle): Buffer {
    return this.#result((room) => this.#addon.wrap(session, kek, mech, key, room, ...this.#params(params)));
  }

  unwrap(session: SessionHandle, kek: KeyHandle, mech: number, params: MechanismParams | undefined, wrapped: Uint8Array, attributes: readonly Attribute[]): KeyHandle {
    return this.#packed(attributes, (packed) => this.#addon.unwrap(session, kek, mech, wrapped, packed, ...this.#params(params))) as KeyHandle;
  }

  async unwrapSlow(session: SessionHandle, kek: KeyHandle, mech: number, params: MechanismParams | undefined, wrapped: Uint8Array, attributes: readonly Attribute[]): Promise<KeyHandle> {
    return (await this.#packed(attributes, (packed) => this.#addon.unwrapSlow(session, kek, mech, wrapped, packed, ...this.#params(params)))) as KeyHandle;
  }

  /** The encapsulated secret becomes a key; the ciphertext goes to the holder of the private key. */
  encapsulate(session: SessionHandle, key: KeyHandle, mech: number, attributes: readonly Attribute[]): { readonly key: KeyHandle; readonly ciphertext: Buffer } {
    const [made, length] = this.#packed(attributes, (packed) => this.#addon.encapsulate(session, key, mech, packed, this.#desk));
    return { key: made as KeyHandle, ciphertext: this.#answer(length) };
  }

  decapsulate(session: SessionHandle, key: KeyHandle, mech: number, ciphertext: Uint8Array, attributes: readonly Attribute[]): KeyHandle {
    return this.#packed(attributes, (packed) => this.#addon.decapsulate(session, key, mech, ciphertext, packed)) as KeyHandle;
  }

  random(session: SessionHandle, out: Uint8Array): void {
    this.#addon.random(session, out);
  }

  agree(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, out: Payload): void {
    out.fill(this.#addon.agree(session, key, mech, out.room, ...this.#params(params)));
  }

  kemSeal(session: SessionHandle, key: KeyHandle, secret: Payload): Buffer {
    const [ciphertext, length] = this.#addon.kemSeal(session, key, MECH.ML_KEM, this.#desk, secret.room);
    secret.fill(length);
    return this.#answer(ciphertext);
  }

  kemOpen(session: SessionHandle, key: KeyHandle, ciphertext: Uint8Array, secret: Payload): void {
    secret.fill(this.#addon.kemOpen(session, key, MECH.ML_KEM, ciphertext, secret.room));
  }

  batch(
    session: SessionHandle, use: number, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, lengths: Uint32Array,
    out: Uint8Array, outLengths: Uint32Array,
  ): number {
    return this.#addon.batch(session, use, key, mech, input, lengths, out, outLengths, ...this.#params(params));
  }

  async batchSlow(
    session: SessionHandle, use: number, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, lengths: Uint32Array,
    out: Uint8Array, outLengths: Uint32Array,
  ): Promise<number> {
    return await this.#addon.batchSlow(session, use, key, mech, input, lengths, out, outLengths, ...this.#params(params));
  }

  // ---- envelopes, data keys

  envelopeSeal(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, plain: Uint8Array): Buffer {
    return this.#result((room) => this.#addon.envelopeSeal(session, key, pairs, plain, room));
  }

  envelopeOpen(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, blob: Uint8Array, plain: Payload): void {
    plain.fill(this.#addon.envelopeOpen(session, key, pairs, blob, plain.room));
  }

  envelopeMove(session: SessionHandle, from: KeyHandle, fromPairs: Uint8Array, blob: Uint8Array, to: KeyHandle, toPairs: Uint8Array): Buffer {
    return this.#result((room) => this.#addon.envelopeMove(session, from, fromPairs, blob, to, toPairs, room));
  }

  envelopePeek(blob: Uint8Array): { readonly account: string; readonly objectId: string; readonly materialId: string } | undefined {
    return this.#addon.envelopePeek(blob);
  }

  dataKey(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, length: number, plain: Payload | undefined): Buffer {
    const blob = this.#addon.dataKey(session, key, pairs, length, plain?.room, this.#desk);
    plain?.fill(length);
    return this.#answer(blob);
  }

  async dataKeyPair(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, spec: KeySpec, plain: Payload | undefined): Promise<{ readonly publicKey: Buffer; readonly blob: Buffer }> {
    // Room for the largest pair: RSA 4096 in PKCS#8 is 2,376 bytes.
    const publicKey = Buffer.allocUnsafeSlow(4096);
    const blob = Buffer.allocUnsafeSlow(8192);
    const [spkiLength, plainLength, blobLength] = await this.#addon.dataKeyPairSlow(session, key, pairs, spec.type, spec.param, publicKey, plain?.room, blob);
    plain?.fill(plainLength);
    return { publicKey: Buffer.from(publicKey.subarray(0, spkiLength)), blob: Buffer.from(blob.subarray(0, blobLength)) };
  }

  // ---- for attested recipients, and from outside

  recipientOpen(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, blob: Uint8Array, recipient: Uint8Array): Buffer {
    return this.#answer(this.#addon.recipientOpen(session, key, pairs, blob, recipient, this.#desk));
  }

  async recipientDecrypt(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams | undefined, input: Uint8Array, recipient: Uint8Array): Promise<Buffer> {
    const cms = Buffer.allocUnsafeSlow(8192);
    return cms.subarray(0, await this.#addon.recipientDecryptSlow(session, key, mech, input, recipient, cms, ...this.#params(params)));
  }

  recipientDataKey(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, length: number, recipient: Uint8Array): { readonly cms: Buffer; readonly blob: Buffer } {
    const cms = this.#desk.subarray(0, 8192);
    const blob = this.#desk.subarray(8192);
    const [cmsLength, blobLength] = this.#addon.recipientDataKey(session, key, pairs, length, recipient, cms, blob);
    return { cms: Buffer.from(cms.subarray(0, cmsLength)), blob: Buffer.from(blob.subarray(0, blobLength)) };
  }

  async recipientDataKeyPair(session: SessionHandle, key: KeyHandle, pairs: Uint8Array, spec: KeySpec, recipient: Uint8Array): Promise<{ readonly publicKey: Buffer; readonly cms: Buffer; readonly blob: Buffer }> {
    const rooms = [4096, 8192, 8192].map((length) => Buffer.allocUnsafeSlow(length)) as [Buffer, Buffer, Buffer];
    const lengths = await this.#addon.recipientDataKeyPairSlow(session, key, pairs, spec.type, spec.param, recipient, ...rooms);
    const [publicKey, cms, blob] = rooms.map((room, i) => Buffer.from(room.subarray(0, lengths[i]))) as [Buffer, Buffer, Buffer];
    return { publicKey, cms, blob };
  }

  recipientRandom(session: SessionHandle, length: number, recipient: Uint8Array): Buffer {
    return this.#answer(this.#addon.recipientRandom(session, length, recipient, this.#desk));
  }

  recipientAgree(session: SessionHandle, key: KeyHandle, mech: number, params: MechanismParams, recipient: Uint8Array): Buffer {
    return this.#answer(this.#addon.recipientAgree(session, key, mech, recipient, this.#desk, ...this.#params(params)));
  }

  async importBegin(service: SessionHandle, partition: PartitionHandle, objectId: string, wrap: ImportWrap, bits: number, expiresMs: number): Promise<{ readonly publicKey: Buffer; readonly token: Buffer }> {
    const publicKey = Buffer.allocUnsafeSlow(1024);
    const token = Buffer.allocUnsafeSlow(6144);
    const [spkiLength, tokenLength] = await this.#addon.importBeginSlow(service, partition, objectId, importWraps.indexOf(wrap), bits, expiresMs, publicKey, token);
    return { publicKey: Buffer.from(publicKey.subarray(0, spkiLength)), token: Buffer.from(token.subarray(0, tokenLength)) };
  }

  async importFinish(
    service: SessionHandle, partition: PartitionHandle, objectId: string, token: Uint8Array, wrapped: Uint8Array, nowMs: number, spec: KeySpec,
    attributes: readonly Attribute[],
  ): Promise<{ readonly key: KeyHandle; readonly fingerprint: Buffer }> {
    const fingerprint = Buffer.allocUnsafeSlow(32);
    const key = await this.#packed(attributes, (packed) =>
      this.#addon.importFinishSlow(service, partition, objectId, token, wrapped, nowMs, spec.type, spec.param, packed, fingerprint));
    return { key: key as KeyHandle, fingerprint };
  }

  // ---- secrets of others

  keepSeal(service: SessionHandle, partition: PartitionHandle, use: KeepUse, id: string, secret: Uint8Array): Buffer {
    return this.#answer(this.#addon.keepSeal(service, partition, use === 'signer' ? 0 : 1, id, secret, this.#desk));
  }

  keepOpen(service: SessionHandle, partition: PartitionHandle, id: string, sealed: Uint8Array): Payload {
    const plain = this.payload(sealed.length);
    try {
      return plain.fill(this.#addon.keepOpen(service, partition, id, sealed, plain.room));
    } catch (error) {
      plain.release();
      throw error;
    }
  }

  keepSign(service: SessionHandle, partition: PartitionHandle, id: string, sealed: Uint8Array, r: SigV4Unsigned): string {
    return this.#answer(this.#addon.keepSign(service, partition, id, sealed, r.date, r.region, r.service, r.timestamp, r.canonical, '', r.body, this.#desk)).toString('latin1');
  }

  // ---- records

  recordMac(table: string, key: string, version: number, body: Uint8Array): Buffer {
    return this.#answer(this.#addon.recordMac(table, key, version, body, this.#desk));
  }

  recordCheck(table: string, key: string, version: number, body: Uint8Array, mac: Uint8Array): boolean {
    return this.#addon.recordCheck(table, key, version, body, mac);
  }

  // ---- payload, bytes

  payload(length: number): Payload {
    return this.#payloads.take(length);
  }

  /** Overwrites bytes that held a secret. */
  wipe(bytes: Uint8Array): void {
    this.#payloads.wipe(bytes);
  }

  cutJson(body: Buffer, names: readonly string[]): CutJson {
    const packed = this.#packNames(names);
    const json = Buffer.allocUnsafe(body.length + 8 * names.length + 8);
    if (this.#cut.length < 2 + 2 * names.length) this.#cut = new Uint32Array(2 + 2 * names.length);
    const cut = this.#cut;
    const blobs = this.payload(names.some((name) => name.startsWith('=')) ? body.length : Math.ceil(body.length * 0.75));
    try {
      const count = this.#addon.jsonCut(body, packed, json, blobs.room, cut);
      const spans = new Array<{ readonly offset: number; readonly length: number }>(count);
      for (let i = 0; i < count; i++) spans[i] = { offset: cut[2 + 2 * i] ?? 0, length: cut[3 + 2 * i] ?? 0 };
      return { json: json.subarray(0, cut[0]), blobs: blobs.fill(cut[1] ?? 0), spans };
    } catch (error) {
      blobs.release();
      throw error;
    }
  }

  base64Into(bytes: Uint8Array, out: Uint8Array, offset: number): number {
    return this.#addon.base64(bytes, offset === 0 ? out : out.subarray(offset));
  }

  sha256(bytes: Uint8Array): Buffer {
    const digest = Buffer.allocUnsafe(32);
    this.#addon.sha256(bytes, digest);
    return digest;
  }

  approved(): boolean {
    return this.#addon.approved();
  }

  // ---- how arguments and results travel

  /** A copy of the first `length` bytes of the desk. */
  #answer(length: number): Buffer {
    const out = Buffer.allocUnsafe(length);
    this.#desk.copy(out, 0, 0, length);
    return out;
  }

  /** Onto the desk, or into a room of its own when it is larger. */
  #result(call: (room: Uint8Array | undefined) => number): Buffer {
    try {
      return this.#answer(call(this.#desk));
    } catch (error) {
      if (!(error instanceof HsmError) || error.code !== 'HSM_E_BUFFER') throw error;
      const out = Buffer.allocUnsafeSlow(call(undefined));
      return out.subarray(0, call(out));
    }
  }

  #packed<T>(attributes: readonly Attribute[], call: (packed: Uint8Array | undefined) => T): T {
    if (attributes.length === 0) return call(undefined);
    const packed = packAttributes(attributes, this.#take);
    try {
      return call(packed.bytes);
    } finally {
      packed.release();
    }
  }

  #params(params: MechanismParams | undefined): AddonParams {
    return params === undefined ? [] : [this.#figures(params), params.iv, params.aad, params.label, params.salt, params.peer, params.data];
  }

  /** The parameters that are numbers; undefined when there are none. Read by the addon before it returns. */
  #figures(p: MechanismParams): Uint32Array | undefined {
    if (p.hash === undefined && p.mgf === undefined && p.saltLength === undefined && p.tagBits === undefined && p.counterBits === undefined &&
        p.iterations === undefined && (p.flags === undefined || (p.flags === IV_MADE && p.iv === undefined)) && p.wrapBits === undefined && p.spec === undefined) return undefined;
    const n = this.#numbers;
    n[0] = p.hash ?? 0;
    n[1] = p.mgf ?? 0;
    n[2] = p.saltLength === 'digest' ? SALT_DIGEST : p.saltLength ?? 0;
    n[3] = p.tagBits ?? 0;
    n[4] = p.counterBits ?? 0;
    n[5] = p.iterations ?? 0;
    n[6] = p.flags ?? (p.iv === undefined ? IV_MADE : 0);
    n[7] = p.wrapBits ?? 0;
    n[8] = 0;
    n[9] = 0;
    n[10] = p.spec?.type ?? 0;
    n[11] = p.spec?.param ?? 0;
    return n;
  }

  #packNames(names: readonly string[]): Buffer {
    let packed = this.#names.get(names);
    if (packed !== undefined) return packed;
    packed = Buffer.concat(names.map((name) => {
      const bytes = Buffer.from(name);
      return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
    }));
    this.#names.set(names, packed);
    return packed;
  }
}

const IV_MADE = 0x01;

function howNumber(unseal: Unseal): number {
  if (unseal.how !== 'keyfile' && unseal.how !== 'passphrase') throw new TypeError('unseal.how must be keyfile or passphrase');
  return unseal.how === 'keyfile' ? 0 : 1;
}

function roleNumber(role: Role): number {
  const number = roles.indexOf(role);
  if (number < 0) throw new TypeError('role must be user or officer');
  return number;
}

function upTo<T>(at: (i: number) => T | undefined): T[] {
  const all: T[] = [];
  for (let i = 0, one = at(0); one !== undefined; one = at(++i)) all.push(one);
  return all;
}
