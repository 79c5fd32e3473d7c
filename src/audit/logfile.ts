/** Log and digest files as CloudTrail lays them out: names, contents, what a digest's signature covers. Pure. */

/** The name that stands for the directory where CloudTrail has a bucket: the directory may be moved. */
export const bucket = 'strongroom';
const trailName = 'strongroom';

/** Whose events a file holds. */
export interface Place {
  readonly account: string;
  readonly region: string;
}

export interface LoggedFile {
  readonly s3Bucket: string;
  readonly s3Object: string;
  /** SHA-256 of the file's content before compression, in hex. */
  readonly hashValue: string;
  readonly hashAlgorithm: 'SHA-256';
  readonly newestEventTime: string;
  readonly oldestEventTime: string;
  /** Not CloudTrail's: where the file's sums lie (sums.ts), and the SHA-256 of their content. */
  readonly eventHashes: { readonly s3Object: string; readonly hashValue: string };
}

/** A digest that was delivered. */
export interface Delivered {
  readonly object: string;
  readonly hash: string;
  readonly signature: string;
}

export interface Digest {
  readonly awsAccountId: string;
  readonly digestStartTime: string;
  readonly digestEndTime: string;
  readonly digestS3Bucket: string;
  readonly digestS3Object: string;
  readonly digestPublicKeyFingerprint: string;
  readonly digestSignatureAlgorithm: 'SHA256withRSA';
  readonly newestEventTime: string | null;
  readonly oldestEventTime: string | null;
  readonly previousDigestS3Bucket: string | null;
  readonly previousDigestS3Object: string | null;
  readonly previousDigestHashValue: string | null;
  readonly previousDigestHashAlgorithm: 'SHA-256' | null;
  readonly previousDigestSignature: string | null;
  readonly logFiles: readonly LoggedFile[];
}

/** ISO 8601, whole seconds. */
export const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** `token`: 16 characters that tell files of one minute apart. */
export function logObject({ account, region }: Place, atMs: number, token: string): string {
  const time = timeText(atMs);
  return `AWSLogs/${account}/CloudTrail/${region}/${dayPath(time)}/${account}_CloudTrail_${region}_${time.slice(0, 16).replaceAll(/[-:]/g, '')}Z_${token}.json.gz`;
}

/** A folder of its own: who takes in everything below CloudTrail/ is to find log files only. */
export const sumsObject = (log: string): string => log.replace('/CloudTrail/', '/CloudTrail-Events/').replace(/\.json\.gz$/, '.sums.gz');

export function digestObject({ account, region }: Place, endMs: number): string {
  const time = timeText(endMs);
  return `AWSLogs/${account}/CloudTrail-Digest/${region}/${dayPath(time)}/${account}_CloudTrail-Digest_${region}_${trailName}_${region}_${time.replaceAll(/[-:]/g, '')}.json.gz`;
}

const dayPath = (time: string): string => time.slice(0, 10).replaceAll('-', '/');

/** CloudTrail's string to sign. */
export function signedText(digest: Pick<Digest, 'digestEndTime' | 'digestS3Bucket' | 'digestS3Object' | 'previousDigestSignature'>, hash: string): string {
  return `${digest.digestEndTime}\n${digest.digestS3Bucket}/${digest.digestS3Object}\n${hash}\n${digest.previousDigestSignature ?? 'null'}`;
}

export interface DigestParts {
  readonly startMs: number;
  readonly endMs: number;
  readonly files: readonly LoggedFile[];
  readonly previous: Delivered | undefined;
  readonly fingerprint: string;
}

export function digestOf(place: Place, { startMs, endMs, files, previous, fingerprint }: DigestParts): Digest {
  const newest = files.map((file) => file.newestEventTime).sort().at(-1);
  const oldest = files.map((file) => file.oldestEventTime).sort().at(0);
  return {
    awsAccountId: place.account,
    digestStartTime: timeText(startMs),
    digestEndTime: timeText(endMs),
    digestS3Bucket: bucket,
    digestS3Object: digestObject(place, endMs),
    digestPublicKeyFingerprint: fingerprint,
    digestSignatureAlgorithm: 'SHA256withRSA',
    newestEventTime: newest ?? null,
    oldestEventTime: oldest ?? null,
    previousDigestS3Bucket: previous === undefined ? null : bucket,
    previousDigestS3Object: previous?.object ?? null,
    previousDigestHashValue: previous?.hash ?? null,
    previousDigestHashAlgorithm: previous === undefined ? null : 'SHA-256',
    previousDigestSignature: previous?.signature ?? null,
    logFiles: files,
  };
}
