/** The Node door beside node:crypto in the same process: the same work, the same bytes, both checked. */
import { createCipheriv, createDecipheriv, createHmac, createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, randomBytes, sign as nodeSign, verify as nodeVerify } from 'node:crypto';
import type { Core, KeyHandle, KeySpec, SessionHandle } from '../hsm/core.ts';
import { ATTR, CURVE, KEY, MECH, PARAM, USE } from '../hsm/numbers.ts';
import { WrongAnswer, type Case, type Prepared, type Subject } from './measure.ts';

interface Bench {
  readonly core: Core;
  readonly session: SessionHandle;
}

/** Cases in the order they are printed. The caller closes the core. */
export function nodeCases(core: Core): readonly Case[] {
  const partition = core.ephemeralPartition('bench');
  const bench = { core, session: core.openSession(partition, { readWrite: true }) };
  return [
    ...[64, 1024, 65536].map((size) => gcmCase(bench, size)),
    batchCase(bench, 256, 64),
    hmacCase(bench, 64),
    signCase(bench, 'P-256 sign', { type: KEY.EC, param: CURVE.P256 }, MECH.ECDSA_SHA256, 'ec', { namedCurve: 'P-256' }),
    signCase(bench, 'P-384 sign', { type: KEY.EC, param: CURVE.P384 }, MECH.ECDSA_SHA384, 'ec', { namedCurve: 'P-384' }),
    signCase(bench, 'RSA-2048 sign', { type: KEY.RSA, param: 2048 }, MECH.SHA256_RSA_PKCS, 'rsa', { modulusLength: 2048 }),
    signCase(bench, 'Ed25519 sign', { type: KEY.EDWARDS, param: CURVE.ED25519 }, MECH.EDDSA, 'ed25519', {}),
  ];
}

const params = { flags: PARAM.IV_MADE };

const usage = (...types: readonly number[]): readonly (readonly [number, boolean])[] => types.map((type) => [type, true] as const);

function aesKey({ core, session }: Bench): KeyHandle {
  return core.generate(session, 0, { type: KEY.AES, param: 256 }, usage(ATTR.ENCRYPT, ATTR.DECRYPT));
}

function gcmCase(bench: Bench, size: number): Case {
  const plain = randomBytes(size);
  const ours: Subject = {
    name: 'strongroom encryptInto',
    prepare(): Prepared {
      const key = aesKey(bench);
      const out = Buffer.alloc(size + 28);
      const back = Buffer.alloc(size + 28);
      const { core, session } = bench;
      return {
        run(n) { for (let i = 0; i < n; i += 1) core.encryptInto(session, key, MECH.AES_GCM, params, plain, out); },
        check() {
          const length = core.encryptInto(session, key, MECH.AES_GCM, params, plain, out);
          const opened = core.decryptInto(session, key, MECH.AES_GCM, params, out.subarray(0, length), back);
          if (!back.subarray(0, opened).equals(plain)) throw new WrongAnswer('GCM: what was sealed does not open');
        },
      };
    },
  };
  // As people write it: a KeyObject, a fresh IV, one Buffer that holds everything.
  const asWritten: Subject = {
    name: 'node:crypto as people write it',
    prepare(): Prepared {
      const key = createSecretKey(randomBytes(32));
      const seal = (): Buffer => {
        const iv = randomBytes(12);
        const cipher = createCipheriv('aes-256-gcm', key, iv);
        return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      };
      return {
        run(n) { for (let i = 0; i < n; i += 1) seal(); },
        check() {
          const sealed = seal();
          const open = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
          open.setAuthTag(sealed.subarray(-16));
          if (!Buffer.concat([open.update(sealed.subarray(12, -16)), open.final()]).equals(plain)) throw new WrongAnswer('node:crypto does not open');
        },
      };
    },
  };
  // The least that can be written, with one fixed IV: unsafe, a limit and not a way.
  const minimal: Subject = {
    name: 'node:crypto minimal (fixed IV)',
    prepare(): Prepared {
      const key = randomBytes(32);
      const iv = randomBytes(12);
      return {
        run(n) {
          for (let i = 0; i < n; i += 1) {
            const cipher = createCipheriv('aes-256-gcm', key, iv);
            cipher.update(plain);
            cipher.final();
            cipher.getAuthTag();
          }
        },
        check() { /* nothing is kept */ },
      };
    },
  };
  return { name: `AES-256-GCM ${size < 1024 ? `${size} B` : `${size / 1024} KiB`}`, subjects: [ours, asWritten, minimal] };
}

function batchCase(bench: Bench, count: number, size: number): Case {
  const one = randomBytes(size);
  const ours: Subject = {
    name: `strongroom batch of ${count}`,
    prepare(): Prepared {
      const { core, session } = bench;
      const key = aesKey(bench);
      const input = Buffer.concat(Array.from({ length: count }, () => one));
      const lengths = new Uint32Array(count).fill(size);
      const out = Buffer.alloc(count * (size + 28));
      const outLengths = new Uint32Array(count);
      return {
        run(n) { for (let i = 0; i < n; i += count) core.batch(session, USE.ENCRYPT, key, MECH.AES_GCM, params, input, lengths, out, outLengths); },
        check() {
          core.batch(session, USE.ENCRYPT, key, MECH.AES_GCM, params, input, lengths, out, outLengths);
          const back = Buffer.alloc(size + 28);
          const opened = core.decryptInto(session, key, MECH.AES_GCM, params, out.subarray(0, outLengths[0]), back);
          if (!back.subarray(0, opened).equals(one)) throw new WrongAnswer('batch: what was sealed does not open');
        },
      };
    },
  };
  const other = gcmCase(bench, size).subjects[1];
  return { name: `AES-256-GCM ${size} B, batch of ${count}, a message`, subjects: other === undefined ? [ours] : [ours, other] };
}

function hmacCase(bench: Bench, size: number): Case {
  const message = randomBytes(size);
  return {
    name: `HMAC-SHA-256 ${size} B`,
    subjects: [
      {
        name: 'strongroom',
        prepare(): Prepared {
          const { core, session } = bench;
          const key = core.generate(session, 0, { type: KEY.GENERIC, param: 256 }, usage(ATTR.SIGN, ATTR.VERIFY));
          return {
            run(n) { for (let i = 0; i < n; i += 1) core.sign(session, key, MECH.SHA256_HMAC, undefined, message); },
            check() { if (!core.verify(session, key, MECH.SHA256_HMAC, undefined, message, core.sign(session, key, MECH.SHA256_HMAC, undefined, message))) throw new WrongAnswer('HMAC does not verify'); },
          };
        },
      },
      {
        name: 'node:crypto createHmac',
        prepare(): Prepared {
          const key = createSecretKey(randomBytes(32));
          const mac = (): Buffer => createHmac('sha256', key).update(message).digest();
          return { run(n) { for (let i = 0; i < n; i += 1) mac(); }, check() { if (mac().length !== 32) throw new WrongAnswer('no MAC'); } };
        },
      },
    ],
  };
}

function signCase(bench: Bench, name: string, spec: KeySpec, mech: number, kind: 'ec' | 'rsa' | 'ed25519', options: { namedCurve?: string; modulusLength?: number }): Case {
  const message = randomBytes(64);
  const hash = kind === 'ed25519' ? null : mech === MECH.ECDSA_SHA384 ? 'sha384' : 'sha256';
  const parameters = kind === 'ec' ? { flags: PARAM.DER } : undefined;
  return {
    name,
    subjects: [
      {
        name: 'strongroom',
        async prepare(): Promise<Prepared> {
          const { core, session } = bench;
          const key = await core.generatePair(session, 0, spec, usage(ATTR.SIGN));
          const slow = kind === 'rsa';
          return {
            async run(n) {
              if (slow) for (let i = 0; i < n; i += 1) await core.signSlow(session, key, mech, parameters, message);
              else for (let i = 0; i < n; i += 1) core.sign(session, key, mech, parameters, message);
            },
            async check() {
              const signature = slow ? await core.signSlow(session, key, mech, parameters, message) : core.sign(session, key, mech, parameters, message);
              const pub = createPublicKey({ key: core.publicKey(session, key), format: 'der', type: 'spki' });
              if (!nodeVerify(hash, message, pub, signature)) throw new WrongAnswer(`${name}: node:crypto refuses our signature`);
            },
          };
        },
      },
      {
        name: 'crypto.sign',
        prepare(): Prepared {
          const { privateKey, publicKey } = kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: options.namedCurve ?? 'P-256' })
            : kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: options.modulusLength ?? 2048 }) : generateKeyPairSync('ed25519');
          const key = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }));
          return {
            run(n) { for (let i = 0; i < n; i += 1) nodeSign(hash, message, key); },
            check() { if (!nodeVerify(hash, message, publicKey, nodeSign(hash, message, key))) throw new WrongAnswer('crypto.sign does not verify'); },
          };
        },
      },
    ],
  };
}

