/**
 * Request quotas: how often an account may call, per Region, as AWS's developer guide lists them. Off
 * unless asked for. A bucket holds one second's worth, or one request where that is less. The caller's
 * account is charged, whoever owns the key.
 */
import { fail } from './errors.ts';
import type { Run } from './run.ts';

export interface Quotas {
  /** Throws ThrottlingException. */
  charge(run: Run): void;
  /** Each custom key store has a share of its own, beside that of its account. */
  chargeStore(storeId: string, nowMs: number): void;
}

/** One request's share of one bucket. */
interface Charge {
  readonly bucket: string;
  /** Requests a second. */
  readonly rate: number;
  /** Default: the request's own. */
  readonly region?: string;
  readonly count?: number;
}

const large = new Set(['us-east-1', 'us-west-2', 'eu-west-1']);
const middling = new Set(['us-east-2', 'ap-southeast-1', 'ap-southeast-2', 'ap-northeast-1', 'eu-central-1', 'eu-west-2']);

/* ---- cryptography: shared by kind of key ---------------------------------------- */

type Kind = 'symmetric' | 'rsa' | 'ecc' | 'mlDsa' | 'mlKem';

/** ML-KEM is not in the table yet; it has what the other asymmetric kinds have. */
function sharedCharge(kind: Kind, region: string): Charge {
  if (kind !== 'symmetric') return { bucket: kind, rate: 1000 };
  return { bucket: kind, rate: large.has(region) ? 100_000 : middling.has(region) ? 20_000 : 10_000 };
}

const algorithmMembers = ['SigningAlgorithm', 'EncryptionAlgorithm', 'SourceEncryptionAlgorithm', 'DestinationEncryptionAlgorithm'] as const;

/** The request's algorithms say which kinds of keys it uses. */
function kindsOf({ operation, input }: Run): readonly Kind[] {
  if (operation.name === 'DeriveSharedSecret') return ['ecc'];
  if (operation.name === 'Encapsulate' || operation.name === 'Decapsulate') return ['mlKem'];
  const named = algorithmMembers.flatMap((member) => (input[member] === undefined ? [] : [kindOf(String(input[member]))]));
  return named.length === 0 ? ['symmetric'] : [...new Set(named)];
}

const kindOf = (algorithm: string): Kind =>
  (algorithm.startsWith('RSA') ? 'rsa' : algorithm.startsWith('ML_DSA') ? 'mlDsa' : /^(ECDSA|ED25519|SM2)/.test(algorithm) ? 'ecc' : 'symmetric');

/** Both operations that make pairs share a bucket a spec. ML-KEM is not in the table yet. */
const pairRates: Readonly<Record<string, number>> = {
  RSA_2048: 20, RSA_3072: 4, RSA_4096: 1, ECC_NIST_P256: 100, ECC_NIST_P384: 100, ECC_NIST_P521: 100, ECC_SECG_P256K1: 100, ECC_NIST_EDWARDS25519: 100,
  SM2: 25, ML_KEM_512: 100, ML_KEM_768: 100, ML_KEM_1024: 100,
};

/* ---- the rest: a bucket an operation ----------------------------------------------- */

/** Those of five a second are not listed. */
const rates: Readonly<Record<string, number>> = {
  CreateGrant: 50, DeleteAlias: 15, DeleteImportedKeyMaterial: 15, DescribeKey: 2000, EnableKeyRotation: 15, GetKeyPolicy: 1000, GetKeyRotationStatus: 1000,
  GetParametersForImport: 1, GetPublicKey: 2000, ImportKeyMaterial: 15, ListAliases: 500, ListGrants: 100, ListKeyPolicies: 100, ListKeys: 500, ListKeyRotations: 100,
  ListResourceTags: 2000, ListRetirableGrants: 100, PutKeyPolicy: 15, RetireGrant: 50, RevokeGrant: 50, ScheduleKeyDeletion: 15, TagResource: 10,
};
const usual = 5;

function chargesOf(run: Run): readonly Charge[] {
  const { operation: { name, cryptographic }, input, region } = run;
  if (name.startsWith('GenerateDataKeyPair')) return [{ bucket: `pairs ${String(input['KeyPairSpec'])}`, rate: pairRates[String(input['KeyPairSpec'])] ?? usual }];
  if (cryptographic || name === 'GenerateRandom') return kindsOf(run).map((kind) => sharedCharge(kind, region));
  const own: Charge = { bucket: name, rate: rates[name] ?? usual };
  // Replicating makes a key over there, after a dry run of it; a new primary concerns both Regions.
  if (name === 'ReplicateKey') return [own, { bucket: 'CreateKey', rate: usual, region: String(input['ReplicaRegion']), count: 2 }];
  if (name === 'UpdatePrimaryRegion') return [own, { ...own, region: String(input['PrimaryRegion']) }];
  return [own];
}

/** Requests a second to what a custom key store stands on. */
const storeRate = 1800;

const tooFast = () => fail('ThrottlingException', 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.');

interface Level {
  left: number;
  atMs: number;
}

/** Most buckets kept: full ones need not be. */
const mostKept = 100_000;

export class AwsQuotas implements Quotas {
  readonly #levels = new Map<string, Level>();

  charge(run: Run): void {
    const owed = chargesOf(run).map(({ bucket, rate, region = run.region, count = 1 }) => ({ level: this.#level(`${run.account}/${region}/${bucket}`, rate, run.nowMs), count }));
    if (owed.some(({ level, count }) => level.left < count)) throw tooFast();
    for (const { level, count } of owed) level.left -= count;
  }

  chargeStore(storeId: string, nowMs: number): void {
    const level = this.#level(`store ${storeId}`, storeRate, nowMs);
    if (level.left < 1) throw tooFast();
    level.left -= 1;
  }

  /** Filled up to now. */
  #level(name: string, rate: number, nowMs: number): Level {
    const most = Math.max(rate, 1);
    const level = this.#levels.get(name);
    if (level === undefined) {
      if (this.#levels.size >= mostKept) this.#levels.clear();
      const fresh = { left: most, atMs: nowMs };
      this.#levels.set(name, fresh);
      return fresh;
    }
    level.left = Math.min(most, level.left + (Math.max(0, nowMs - level.atMs) / 1000) * rate);
    level.atMs = nowMs;
    return level;
  }
}
