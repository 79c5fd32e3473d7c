/**
 * X.509 certificates as an attestation's chain has them: P-384 keys, signed by ECDSA with SHA-384. Only
 * what the path check asks is read.
 */

export interface Certificate {
  /** What was signed, as it stands. */
  readonly signed: Buffer;
  /** DER, of the signature. */
  readonly signature: Buffer;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: Buffer;
  readonly authority: boolean;
  /** How many authorities may follow. */
  readonly pathLength: number | undefined;
  /** The keyUsage bits, when given: 0x04 signs certificates, 0x80 signs. */
  readonly keyUsage: number | undefined;
}

export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

const ecdsaSha384 = Buffer.from('300a06082a8648ce3d040303', 'hex');
const p384Key = Buffer.from('301006072a8648ce3d020106052b81040022', 'hex');
const oid = { basicConstraints: '551d13', keyUsage: '551d0f' } as const;

export function readCertificate(der: Buffer): Certificate {
  const [whole] = fields(der, 1);
  const [tbs, algorithm, signature] = fields(content(whole, 0x30), 3);
  if (!algorithm.equals(ecdsaSha384)) throw new CertificateError('not signed by ECDSA with SHA-384');
  const parts = fields(content(tbs, 0x30));
  const [version, , signedBy, issuer, validity, subject, publicKey, ...rest] = parts;
  if (version === undefined || signedBy === undefined || issuer === undefined || validity === undefined || subject === undefined || publicKey === undefined) throw new CertificateError('a member is missing');
  if (!content(version, 0xa0).equals(Buffer.from('020102', 'hex')) || !signedBy.equals(ecdsaSha384)) throw new CertificateError('not version 3, or two algorithms');
  if (!content(publicKey, 0x30).subarray(0, p384Key.length).equals(p384Key)) throw new CertificateError('not a P-384 key');
  const [notBefore, notAfter] = fields(content(validity, 0x30), 2);
  const bits = content(signature, 0x03);
  if (bits[0] !== 0) throw new CertificateError('a signature of odd bits');
  return {
    signed: tbs, signature: bits.subarray(1), issuer, subject, publicKey, notBeforeMs: time(notBefore), notAfterMs: time(notAfter),
    ...extensions(rest.find((part) => part[0] === 0xa3)),
  };
}

/* ---- extensions --------------------------------------------------------------- */

function extensions(wrapped: Buffer | undefined): Pick<Certificate, 'authority' | 'pathLength' | 'keyUsage'> {
  const found: { authority: boolean; pathLength: number | undefined; keyUsage: number | undefined } = { authority: false, pathLength: undefined, keyUsage: undefined };
  if (wrapped === undefined) return found;
  const [list] = fields(content(wrapped, 0xa3), 1);
  for (const extension of fields(content(list, 0x30))) {
    const members = fields(content(extension, 0x30));
    const name = content(members[0] ?? empty, 0x06).toString('hex');
    const critical = members.length === 3 && content(members[1] ?? empty, 0x01)[0] === 0xff;
    const value = content(members.at(-1) ?? empty, 0x04);
    if (name === oid.basicConstraints) Object.assign(found, basicConstraints(value));
    else if (name === oid.keyUsage) found.keyUsage = content(fields(value, 1)[0], 0x03)[1] ?? 0;
    else if (critical) throw new CertificateError('a critical extension that is not understood');
  }
  return found;
}

function basicConstraints(value: Buffer): { readonly authority: boolean; readonly pathLength: number | undefined } {
  const members = fields(content(fields(value, 1)[0], 0x30));
  const authority = members[0]?.[0] === 0x01 && content(members[0], 0x01)[0] === 0xff;
  const length = members.find((member) => member[0] === 0x02);
  return { authority, pathLength: length === undefined ? undefined : content(length, 0x02).readUIntBE(0, Math.min(content(length, 0x02).length, 6)) };
}

function time(field: Buffer): number {
  const tag = field[0] ?? 0;
  const text = content(field, tag).toString('latin1');
  const parsed = (tag === 0x17 ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(text);
  if (parsed === null || (tag !== 0x17 && tag !== 0x18)) throw new CertificateError('a time that is none');
  const [year = 0, month = 0, ...rest] = parsed.slice(1).map(Number);
  const [day = 0, hour = 0, minute = 0, second = 0] = rest;
  return Date.UTC(tag === 0x17 ? (year < 50 ? 2000 + year : 1900 + year) : year, month - 1, day, hour, minute, second);
}

/* ---- DER ------------------------------------------------------------------------ */

const empty = Buffer.alloc(0);

/** The fields in a row, each with its tag and length; `count`: exactly so many. */
function fields(bytes: Buffer): readonly Buffer[];
function fields(bytes: Buffer, count: 1): readonly [Buffer];
function fields(bytes: Buffer, count: 2): readonly [Buffer, Buffer];
function fields(bytes: Buffer, count: 3): readonly [Buffer, Buffer, Buffer];
function fields(bytes: Buffer, count?: number): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const { start, length } = header(bytes, at);
    found.push(bytes.subarray(at, start + length));
    at = start + length;
  }
  if (count !== undefined && found.length !== count) throw new CertificateError('not the fields there should be');
  return found;
}

function content(field: Buffer, tag: number): Buffer {
  if (field[0] !== tag) throw new CertificateError('not the field there should be');
  const { start, length } = header(field, 0);
  return field.subarray(start, start + length);
}

function header(bytes: Buffer, at: number): { readonly start: number; readonly length: number } {
  const first = bytes[at + 1];
  if (first === undefined) throw new CertificateError('cut off');
  const more = first & 0x80 ? first & 0x7f : 0;
  if (more > 3 || at + 2 + more > bytes.length || (first & 0x80 && more === 0)) throw new CertificateError('a length that is none');
  const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
  const start = at + 2 + more;
  if (start + length > bytes.length) throw new CertificateError('cut off');
  return { start, length };
}

/** The certificates of a PEM file, or the one of a DER file. */
export function certificatesIn(file: Buffer): readonly Buffer[] {
  const text = file.toString('latin1');
  const blocks = [...text.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g)];
  return blocks.length === 0 ? [file] : blocks.map(([, base64 = '']) => Buffer.from(base64, 'base64'));
}
