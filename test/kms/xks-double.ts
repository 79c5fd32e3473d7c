/**
 * An external key store proxy, strict and small, from the XKS proxy API: what a request lacks is refused,
 * what it should not have too. Faults are set by the test.
 */
import { execFileSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProxySettings } from '../../src/kms/keystores/settings.ts';

type Json = Record<string, unknown>;

export interface ExternalKey {
  readonly material: Buffer;
  spec: string;
  usage: string[];
  status: string;
}

/** Whatever the test wants instead of the answer. */
export type Fault = (request: { readonly path: string; readonly body: Json }, response: ServerResponse) => boolean | Promise<boolean>;

export interface Double {
  readonly accessKeyId: string;
  readonly secret: string;
  readonly keys: Map<string, ExternalKey>;
  /** What was asked: path, metadata. */
  readonly asked: { readonly path: string; readonly body: Json }[];
  /** Bytes to be sent as ciphertextMetadata. */
  metadata: Buffer | undefined;
  health: string[];
  fault: Fault | undefined;
  /** Every byte that was received. */
  readonly received: Buffer[];
  settings(more?: Partial<ProxySettings>): ProxySettings;
  close(): Promise<void>;
}

export const host = 'xks.example.com';
export const endpoint = `https://${host}`;
export const path = '/example/kms/xks/v1';

export function certificate(folder: string, name: string, ...more: string[]): { readonly key: string; readonly cert: string } {
  const key = join(folder, `${name}.key`);
  const cert = join(folder, `${name}.pem`);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert, '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, ...(more.length > 0 ? more : ['-days', '2'])], { stdio: 'ignore' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

class Refused extends Error {
  constructor(readonly status: number, readonly errorName: string) { super(errorName); }
}

const b64 = (value: unknown, ...lengths: number[]): Buffer => {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
  if (bytes === undefined || bytes.toString('base64') !== value || (lengths.length > 0 && !lengths.includes(bytes.length))) throw new Refused(400, 'ValidationException');
  return bytes;
};

/** The construction of the API: both lengths stand before what they count. */
export function gcmAad(aad: Buffer, metadata: Buffer): Buffer {
  return Buffer.concat([Buffer.of(aad.length >> 8, aad.length & 255), aad, Buffer.of(metadata.length), metadata]);
}

export function encrypt(key: Buffer, iv: Buffer, plaintext: Buffer, aad: Buffer, metadata: Buffer): { readonly ciphertext: Buffer; readonly tag: Buffer; readonly cdiv: Buffer } {
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(gcmAad(aad, metadata));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const tag = cipher.getAuthTag();
  return { ciphertext, tag, cdiv: createHash('sha256').update(aad).update(metadata).update(iv).update(ciphertext).update(tag).digest() };
}

export async function startDouble(): Promise<Double> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-xks-'));
  const { key, cert } = certificate(folder, host);
  const accessKeyId = 'ABCDEFGHIJKLMNOPQRST';
  const secret = randomBytes(33).toString('base64');
  const double: Omit<Double, 'settings' | 'close'> = {
    accessKeyId, secret, keys: new Map(), asked: [], metadata: undefined, health: ['ACTIVE'], fault: undefined, received: [],
  };

  function authenticate(request: IncomingMessage, body: Buffer): void {
    const header = request.headers.authorization ?? '';
    const found = /^AWS4-HMAC-SHA256 Credential=([A-Z2-7]{20,30})\/(\d{8})\/([a-z0-9-]+)\/kms-xks-proxy\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(header);
    const stamp = String(request.headers['x-amz-date']);
    const [, id, date = '', region = '', names = '', signature = ''] = found ?? [];
    const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    const signed = names.split(';');
    if (id !== accessKeyId || !stamp.startsWith(date) || !(Math.abs(Date.now() - at) < 300_000) || !signed.includes('host') || !signed.includes('x-amz-date')) throw new Refused(401, 'AuthenticationFailedException');
    const canonical = ['POST', request.url, '', ...signed.map((name) => `${name}:${String(request.headers[name])}`), '', names, createHash('sha256').update(body).digest('hex')].join('\n');
    let hmac: Buffer = Buffer.from(`AWS4${secret}`);
    for (const part of [date, region, 'kms-xks-proxy', 'aws4_request']) hmac = createHmac('sha256', hmac).update(part).digest();
    const text = `AWS4-HMAC-SHA256\n${stamp}\n${date}/${region}/kms-xks-proxy/aws4_request\n${createHash('sha256').update(canonical).digest('hex')}`;
    if (!timingSafeEqual(createHmac('sha256', hmac).update(text).digest(), Buffer.from(signature, 'hex'))) throw new Refused(401, 'AuthenticationFailedException');
  }

  function only(body: Json, ...names: string[]): void {
    if (Object.keys(body).some((name) => !names.includes(name))) throw new Refused(400, 'ValidationException');
  }

  function answer(path: string, body: Json): Json {
    const metadata = body['requestMetadata'] as Json | undefined;
    const needs = (...names: string[]) => { if (names.some((name) => typeof metadata?.[name] !== 'string')) throw new Refused(400, 'ValidationException'); };
    if (path === '/health') {
      needs('kmsRequestId', 'kmsOperation');
      only(body, 'requestMetadata');
      return {
        xksProxyFleetSize: 1, xksProxyVendor: 'Example', xksProxyModel: 'double 1', ekmVendor: 'Example',
        ekmFleetDetails: double.health.map((healthStatus, i) => ({ id: `hsm-${i}`, model: 'none', healthStatus })),
      };
    }
    const [, id = '', call = ''] = /^\/keys\/([A-Za-z0-9._-]{1,128})\/(metadata|encrypt|decrypt)$/.exec(path) ?? [];
    if (id === '') throw new Refused(404, 'InvalidUriPathException');
    needs('awsPrincipalArn', 'kmsOperation', 'kmsRequestId', ...(call === 'metadata' ? [] : ['kmsKeyArn']));
    const key = double.keys.get(id);
    if (key === undefined) throw new Refused(404, 'KeyNotFoundException');
    if (call === 'metadata') {
      only(body, 'requestMetadata');
      return { keySpec: key.spec, keyUsage: key.usage, keyStatus: key.status };
    }
    if (key.status !== 'ENABLED') throw new Refused(400, 'InvalidStateException');
    if (!key.usage.includes(call.toUpperCase())) throw new Refused(400, 'InvalidKeyUsageException');
    if (body['encryptionAlgorithm'] !== 'AES_GCM') throw new Refused(400, 'ValidationException');
    const aad = body['additionalAuthenticatedData'] === undefined ? Buffer.alloc(0) : b64(body['additionalAuthenticatedData']);
    if (call === 'encrypt') {
      only(body, 'requestMetadata', 'plaintext', 'encryptionAlgorithm', 'additionalAuthenticatedData', 'ciphertextDataIntegrityValueAlgorithm');
      const plaintext = b64(body['plaintext']);
      if (plaintext.length > 4300 || aad.length > 8192) throw new Refused(501, 'UnsupportedOperationException');
      const iv = randomBytes(12);
      const made = encrypt(key.material, iv, plaintext, aad, double.metadata ?? Buffer.alloc(0));
      return {
        ciphertext: made.ciphertext.toString('base64'), initializationVector: iv.toString('base64'), authenticationTag: made.tag.toString('base64'),
        ...(double.metadata === undefined ? {} : { ciphertextMetadata: double.metadata.toString('base64') }),
        ...(body['ciphertextDataIntegrityValueAlgorithm'] === 'SHA_256' ? { ciphertextDataIntegrityValue: made.cdiv.toString('base64') } : {}),
      };
    }
    only(body, 'requestMetadata', 'ciphertext', 'encryptionAlgorithm', 'additionalAuthenticatedData', 'initializationVector', 'authenticationTag', 'ciphertextMetadata');
    const decipher = createDecipheriv('aes-256-gcm', key.material, b64(body['initializationVector'], 12, 16))
      .setAuthTag(b64(body['authenticationTag'], 16))
      .setAAD(gcmAad(aad, body['ciphertextMetadata'] === undefined ? Buffer.alloc(0) : b64(body['ciphertextMetadata'])));
    const ciphertext = b64(body['ciphertext']);
    try {
      return { plaintext: Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('base64') };
    } catch {
      throw new Refused(400, 'InvalidCiphertextException');
    }
  }

  const server = createServer({ key, cert, minVersion: 'TLSv1.2' }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => { parts.push(part); });
    request.on('end', () => {
      void (async () => {
        const body = Buffer.concat(parts);
        double.received.push(body);
        const at = request.url ?? '';
        const reply = (status: number, json: Json) => { response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json)); };
        try {
          const parsed = JSON.parse(body.toString('utf8')) as Json;
          const asked = { path: at.replace(/^.*\/kms\/xks\/v1/, ''), body: parsed };
          if (await double.fault?.(asked, response) === true) return;
          if (request.method !== 'POST' || request.headers.host !== host || !at.startsWith(`${path}/`)) throw new Refused(404, 'InvalidUriPathException');
          authenticate(request, body);
          double.asked.push(asked);
          reply(200, answer(asked.path, parsed));
        } catch (error) {
          const { status, errorName } = error instanceof Refused ? error : new Refused(500, 'InternalException');
          reply(status, { errorName, errorMessage: 'the double says so' });
        }
      })();
    });
  });
  await new Promise<void>((ready) => { server.listen(0, '127.0.0.1', ready); });
  const { port } = server.address() as AddressInfo;
  return Object.assign(double, {
    settings: (more: Partial<ProxySettings> = {}): ProxySettings => ({ authorities: [cert], connectTo: new Map([[host, { host: '127.0.0.1', port }]]), timeoutMs: 2_000, ...more }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => { server.close(done); });
      rmSync(folder, { recursive: true });
    },
  });
}

export const externalKey = (): ExternalKey => ({ material: randomBytes(32), spec: 'AES_256', usage: ['ENCRYPT', 'DECRYPT'], status: 'ENABLED' });
