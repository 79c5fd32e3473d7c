// What the operation table does not say: where we deviate from AWS, by operation and in general, and what
// users of other servers complain about. docs/kms.md is printed from it.
import type { OperationName } from '../src/kms/operations/table.ts';

const done = 'done when answered: the passing state Updating does not show';
const modifiers = '`DryRunModifiers` without `DryRun` is refused (AWS says only that it applies with it); `IGNORE_CIPHERTEXT` still asks for a fitting key in a fitting state';

/** Of one operation. */
export const deviations: Readonly<Partial<Record<OperationName, string>>> = {
  CreateCustomKeyStore: 'a CloudHSM cluster is a PKCS#11 module that the operator\'s file names; a VPC endpoint service is a name only, its proxy is reached by its private DNS name',
  CreateGrant: 'works at once, without its token',
  DeleteImportedKeyMaterial: 'a replica that gives back material which waits for a rotation is PendingImport after that rotation; AWS does not say',
  Decrypt: modifiers,
  DisconnectCustomKeyStore: 'done when answered: the passing state DISCONNECTING does not show',
  EnableKeyRotation: 'without a period, a rotation that is on keeps its own; AWS says only that the default is 365',
  GenerateRandom: 'no Recipient together with a CustomKeyStoreId',
  GetKeyLastUsage: 'uses are written every second: a crash forgets the last one (the trail has it)',
  GetKeyPolicy: 'no `AWS_RAM` policy exists',
  GetKeyRotationStatus: '`OnDemandRotationStartDate` never shows: a rotation on demand is done when it is answered',
  GetParametersForImport: 'allowed while the key is Disabled, where AWS\'s texts contradict each other; RSA_AES_KEY_WRAP also for symmetric and HMAC material, OAEP alone also for ML-DSA and ML-KEM material where it fits: cells that AWS\'s texts leave open',
  ImportKeyMaterial: 'allowed while the key is Disabled, where AWS\'s texts contradict each other',
  ListKeyPolicies: 'always one name: no `AWS_RAM` policy exists',
  ListKeys: '`ResourceOwners` other than `SELF` has nothing to show',
  ReEncrypt: modifiers,
  ReplicateKey: 'the replica is ready when answered: the passing state Creating does not show; the Region must be one of this server\'s (`STRONGROOM_REGIONS`)',
  RotateKeyOnDemand: 'done when answered',
  Sign: 'an empty message is refused, as the model\'s limit says; its text allows it',
  TagResource: 'too many tags are a TagException, as recorded from AWS; the model also names LimitExceededException',
  UpdatePrimaryRegion: done,
  Verify: 'as Sign',
};

/** Aliases may name their keys too, which they find by themselves. */
export const findTheirOwn: ReadonlySet<string> = new Set(['Decrypt', 'ReEncrypt']);

/** Of all of them. */
export const inGeneral: readonly string[] = [
  'Ciphertext blobs have our own format ([formats/envelope.md](formats/envelope.md)) and open only here.',
  'SM2 and SM4 (AWS\'s China Regions) are refused as AWS refuses them elsewhere.',
  'Custom key stores ([key-stores.md](key-stores.md)): a ciphertext whose bytes were altered is refused before module or proxy are asked, with InvalidCiphertextException.',
  'Sharing keys through AWS RAM is not offered.',
  'Answers are strictly consistent; AWS\'s are consistent after a while. Grant tokens are checked but never needed.',
  'Request quotas (`STRONGROOM_QUOTAS=aws`) are those AWS\'s developer guide listed in 2026; ML-KEM, which is not in that list, has a bucket like the other asymmetric kinds.',
  'JSON is read strictly: a member that is there twice or is called `__proto__`, text that is no UTF-8 and nesting deeper than 32 are SerializationExceptions; AWS takes the last of two.',
  'The core without room for a key answers KeyUnavailableException, a store that is busy or lost its races DependencyTimeoutException; both can be retried.',
  'Where AWS\'s sentence for a refusal is in no text and no recording, the code is AWS\'s and the sentence ours. A set\'s values are told in the model\'s order; AWS\'s own follows none.',
];

export interface Complaint {
  readonly complaint: string;
  readonly where: string;
  readonly here: string;
  readonly held: readonly string[];
}

const users = (...titles: readonly string[]): readonly string[] => titles.map((title) => `test/kms/parity/users.test.ts: ${title}`);

/** What users of emulators and self-hosted servers ask for or complain about. */
export const complaints: readonly Complaint[] = [
  { complaint: 'Decrypt takes any key; disabled keys still encrypt', where: 'getmoto/moto#9907, localstack/localstack#5410', here: 'IncorrectKeyException, DisabledException',
    held: users('the wrong key is not accepted') },
  { complaint: 'Policies do not bite, or refuse aliases', where: 'getmoto/moto#4600, localstack/localstack#7540', here: 'key and identity policies, conditions, aliases: evaluated on every request, nothing to switch on',
    held: users('policies bite') },
  { complaint: 'Grants are missing or decorative', where: 'getmoto/moto#4265, nsmithuk/local-kms#31', here: 'they let in, constrain, are inherited no wider, and end', held: [...users('grants let in, constrain, and end'), 'test/kms/grants.test.ts'] },
  { complaint: 'Import is broken for asymmetric or HMAC keys, or rotation of imported keys missing', where: 'localstack/localstack#10677, #10909, #12952, #12801, getmoto/moto#10183', here: 'every spec, four wrappings, expiry, re-import, rotation on demand, several Regions',
    held: [...users('imported keys are the keys that were brought'), 'test/kms/import.test.ts'] },
  { complaint: 'Cryptography that looks right and is not: HKDF over an agreed secret, XOR for imported keys, one RSA key for all', where: 'localstack/localstack#12129, fakecloud PRs 94, 2239, 2280', here: 'checked against node\'s OpenSSL, ML-DSA and ML-KEM by public vectors',
    held: [...users('cryptography is what it says'), 'test/kms/cryptography.test.ts', 'test/vectors/acvp'] },
  { complaint: '500 in place of an error', where: 'localstack/localstack#4877, #4419', here: 'bodies made from the operation table over HTTP: none makes a 5xx', held: ['test/server/model-hostile.test.ts', 'test/kms/hostile.test.ts', 'test/server/hostile.test.ts'] },
  { complaint: 'Keys are gone after a restart', where: 'localstack/localstack#6753', here: 'what was answered is on disk, also when the process is killed', held: ['test/server/crash.test.ts'] },
  { complaint: 'Infrastructure tools hang or read what is not there', where: 'localstack/localstack#5046, floci#290', here: 'keys are ready when answered; rotation of asymmetric keys is refused as AWS refuses it', held: users('infrastructure tools find what they wait for at once') },
  { complaint: 'Features come years late: HMAC, ECDH, rotation on demand', where: 'localstack/localstack#7736, hashicorp/vault#28529', here: 'every algorithm of the model, ML-DSA, ML-KEM and Ed25519 included', held: ['test/kms/model.test.ts', 'test/kms/cryptography.test.ts'] },
  { complaint: 'One namespace for all customers', where: 'hashicorp/vault#1101', here: 'accounts, each under a key of its own in the core', held: [...users('every customer has keys of their own'), 'test/kms/naming.test.ts'] },
  { complaint: 'Attestation conditions cannot be tried without Nitro', where: 'aws/aws-nitro-enclaves-sdk-c#157', here: 'a root of one\'s own and made documents: conditions on PCRs, enveloped answers that openssl opens', held: ['test/kms/recipient.test.ts', 'test/kms/attestation.test.ts'] },
  { complaint: 'Time cannot be moved', where: 'asked for by freezing time in the process', here: 'a clock that an admin call sets forward, in development mode alone', held: ['test/dev/clock.test.ts'] },
  { complaint: 'Fixed keys for fixtures', where: 'local-kms\'s seed file', here: 'seed files, local-kms\'s among them; LocalStack\'s tags', held: ['test/dev/seed.test.ts'] },
  { complaint: 'No arm64, wrong glibc', where: 'localstack/localstack#5233, #8851, nsmithuk/local-kms#58', here: 'x86-64 and arm64 in source, but tested on x86-64 only; a binary needs the glibc it was built with or a newer one', held: [] },
];
