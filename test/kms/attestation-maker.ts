/** A development root, and attestation documents under it: what an enclave's hypervisor would make. */
import { createPrivateKey, createSign, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';

/* ---- DER ------------------------------------------------------------------ */

const tlv = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const n = body.length;
  const length = n < 0x80 ? [n] : n < 0x100 ? [0x81, n] : [0x82, n >> 8, n & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts: readonly Buffer[]) => tlv(0x30, ...parts);
const ecdsaSha384 = Buffer.from('300a06082a8648ce3d040303', 'hex');
const name = (text: string) => sequence(tlv(0x31, sequence(tlv(0x06, Buffer.from('550403', 'hex')), tlv(0x0c, Buffer.from(text)))));
const utc = (ms: number) => tlv(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d{3}/g, '')}`));
const extension = (oid: string, critical: boolean, value: Buffer) => sequence(tlv(0x06, Buffer.from(oid, 'hex')), ...(critical ? [tlv(0x01, Buffer.from([0xff]))] : []), tlv(0x04, value));

export interface Authority {
  readonly certificate: Buffer;
  readonly key: KeyObject;
  readonly subject: string;
}

export interface CertificateWish {
  readonly subject: string;
  readonly authority?: boolean;
  readonly pathLength?: number;
  readonly fromMs?: number;
  readonly untilMs?: number;
  readonly curve?: string;
}

const hour = 3_600_000;

export function issue(wish: CertificateWish, by?: Authority): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: wish.curve ?? 'secp384r1' });
  const authority = wish.authority ?? false;
  const constraints = sequence(...(authority ? [tlv(0x01, Buffer.from([0xff]))] : []), ...(wish.pathLength === undefined ? [] : [tlv(0x02, Buffer.from([wish.pathLength]))]));
  const usage = tlv(0x03, Buffer.from([authority ? 0x02 : 0x07, authority ? 0x04 : 0x80]));
  const signed = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])), ecdsaSha384, name(by?.subject ?? wish.subject),
    sequence(utc(wish.fromMs ?? Date.now() - hour), utc(wish.untilMs ?? Date.now() + hour)), name(wish.subject), publicKey.export({ format: 'der', type: 'spki' }),
    tlv(0xa3, sequence(extension('551d13', true, constraints), extension('551d0f', true, usage))),
  );
  const signature = createSign('sha384').update(signed).sign(by?.key ?? privateKey);
  return { certificate: sequence(signed, ecdsaSha384, tlv(0x03, Buffer.from([0]), signature)), key: createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })), subject: wish.subject };
}

/* ---- CBOR ------------------------------------------------------------------- */

type Value = number | string | Buffer | null | readonly Value[] | ReadonlyMap<number | string, Value>;

function head(major: number, n: number): Buffer {
  if (n < 24) return Buffer.from([(major << 5) | n]);
  if (n < 0x100) return Buffer.from([(major << 5) | 24, n]);
  if (n < 0x10000) return Buffer.from([(major << 5) | 25, n >> 8, n & 0xff]);
  const bytes = Buffer.alloc(9, (major << 5) | 27);
  bytes.writeBigUInt64BE(BigInt(n), 1);
  return bytes;
}

export function cbor(value: Value): Buffer {
  if (value === null) return Buffer.from([0xf6]);
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...(value as readonly Value[]).map(cbor)]);
  const map = value as ReadonlyMap<number | string, Value>;
  return Buffer.concat([head(5, map.size), ...[...map].flatMap(([key, item]) => [cbor(key), cbor(item)])]);
}

/* ---- documents ---------------------------------------------------------------- */

export interface Enclave {
  readonly root: Authority;
  /** Between root and leaf. */
  readonly above: readonly Authority[];
  readonly leaf: Authority;
}

export function makeEnclave(wish: { readonly leaf?: Partial<CertificateWish>; readonly middle?: Partial<CertificateWish>; readonly root?: Authority } = {}): Enclave {
  const root = wish.root ?? issue({ subject: 'development root', authority: true });
  const middle = issue({ subject: 'zone', authority: true, pathLength: 0, ...wish.middle }, root);
  return { root, above: [middle], leaf: issue({ subject: 'instance', ...wish.leaf }, middle) };
}

export interface DocumentWish {
  readonly publicKey?: Buffer | null;
  readonly timestamp?: number;
  readonly pcrs?: ReadonlyMap<number, Buffer>;
  readonly digest?: string;
  readonly algorithm?: number;
  readonly signer?: KeyObject;
  readonly tpm?: boolean;
}

export function makeDocument({ root, above, leaf }: Enclave, wish: DocumentWish = {}): Buffer {
  const registers = wish.pcrs ?? new Map([[0, Buffer.alloc(48, 0xa0)], [1, Buffer.alloc(48, 0xa1)], [2, Buffer.alloc(48, 0xa2)]]);
  const payload = cbor(new Map<string, Value>([
    ['module_id', 'i-0123456789abcdef0-enc0123456789abcdef'], ['digest', wish.digest ?? 'SHA384'], ['timestamp', wish.timestamp ?? Date.now()],
    [wish.tpm === true ? 'nitrotpm_pcrs' : 'pcrs', registers], ['certificate', leaf.certificate], ['cabundle', [root, ...above].map(({ certificate }) => certificate)],
    ['public_key', wish.publicKey ?? null], ['user_data', null], ['nonce', null],
  ]));
  const guarded = cbor(new Map([[1, wish.algorithm ?? -35]]));
  const signature = createSign('sha384').update(cbor(['Signature1', guarded, Buffer.alloc(0), payload])).sign({ key: wish.signer ?? leaf.key, dsaEncoding: 'ieee-p1363' });
  return cbor([guarded, new Map(), payload, signature]);
}
