/**
 * Request quotas: how often an account may call, per Region, as AWS has them (the older published
 * table). Off unless asked for. A bucket holds one second's worth; the caller's account is charged.
 */
import { fail } from './errors.ts';
import type { Run } from './run.ts';

export interface Quotas {
  /** Throws ThrottlingException. */
  charge(run: Run): void;
}

type Bucket = keyof typeof rates;

/** Requests a second. */
const rates = {
  rsa: 500, ecc: 300, writes: 5, grants: 50, grantEnds: 15, reads: 100, policyReads: 30, publicKeys: 5, importParameters: 0.25,
  pairsRsa2048: 1, pairsRsa3072: 0.5, pairsRsa4096: 0.1, pairsP256: 25, pairsP384: 10, pairsP521: 5,
} as const;

const large = new Set(['us-east-1', 'us-west-2', 'eu-west-1']);
const middling = new Set(['us-east-2', 'ap-southeast-1', 'ap-southeast-2', 'ap-northeast-1', 'eu-central-1', 'eu-west-2']);

/** The one bucket that all symmetric cryptography of an account shares. */
const symmetricRate = (region: string): number => (large.has(region) ? 30_000 : middling.has(region) ? 10_000 : 5_500);

const pairs: Readonly<Record<string, Bucket>> = {
  RSA_2048: 'pairsRsa2048', RSA_3072: 'pairsRsa3072', RSA_4096: 'pairsRsa4096', ECC_NIST_P256: 'pairsP256', ECC_SECG_P256K1: 'pairsP256',
  ECC_NIST_EDWARDS25519: 'pairsP256', ECC_NIST_P384: 'pairsP384', ECC_NIST_P521: 'pairsP521', ML_KEM_512: 'pairsP256', ML_KEM_768: 'pairsP256', ML_KEM_1024: 'pairsP256',
};

const named: Readonly<Record<string, Bucket>> = {
  CreateGrant: 'grants', RetireGrant: 'grantEnds', RevokeGrant: 'grantEnds', GetKeyPolicy: 'policyReads', GetKeyRotationStatus: 'policyReads',
  GetPublicKey: 'publicKeys', GetParametersForImport: 'importParameters', DeriveSharedSecret: 'ecc',
};

const algorithmMembers = ['SigningAlgorithm', 'EncryptionAlgorithm', 'SourceEncryptionAlgorithm'] as const;

/** Which quota a request counts against; undefined: the shared symmetric one. */
function bucketOf({ operation, input }: Run): Bucket | undefined {
  const own = named[operation.name];
  if (own !== undefined) return own;
  if (operation.name.startsWith('GenerateDataKeyPair')) return pairs[String(input['KeyPairSpec'])];
  if (operation.cryptographic || operation.name === 'GenerateRandom') {
    const algorithm = String(algorithmMembers.map((member) => input[member]).find((value) => value !== undefined) ?? '');
    return algorithm.startsWith('RSA') ? 'rsa' : /^(ECDSA|ED25519|ML_DSA)/.test(algorithm) ? 'ecc' : undefined;
  }
  return operation.readOnly ? 'reads' : 'writes';
}

interface Level {
  left: number;
  atMs: number;
}

export class AwsQuotas implements Quotas {
  readonly #levels = new Map<string, Level>();

  charge(run: Run): void {
    const bucket = bucketOf(run);
    const rate = bucket === undefined ? symmetricRate(run.region) : rates[bucket];
    const level = this.#level(`${run.account}/${run.region}/${bucket ?? 'symmetric'}`, rate, run.nowMs);
    if (level.left < 1) throw fail('ThrottlingException', 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.');
    level.left -= 1;
  }

  /** Filled up to now; never above one second's worth, or one request where that is less. */
  #level(name: string, rate: number, nowMs: number): Level {
    const most = Math.max(rate, 1);
    const level = this.#levels.get(name);
    if (level === undefined) {
      if (this.#levels.size >= 100_000) this.#levels.clear();
      const fresh = { left: most, atMs: nowMs };
      this.#levels.set(name, fresh);
      return fresh;
    }
    level.left = Math.min(most, level.left + (Math.max(0, nowMs - level.atMs) / 1000) * rate);
    level.atMs = nowMs;
    return level;
  }
}
