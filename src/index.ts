/** A software HSM in the process: keys live in secret memory of the native core, behind handles. */
export { openHsm, type Hsm, type HsmInfo, type HsmOptions, type LoginOptions, type SelfTestReport, type SessionOptions } from './hsm/hsm.ts';
export type { Session } from './hsm/session.ts';
export type { OpenTokenOptions, Pin, StoreOptions, TokenSession } from './hsm/token.ts';
export type { PinSource } from './hsm/token-files.ts';
export type { PoolOptions, SessionPool } from './hsm/pool.ts';
export type { PartitionOptions } from './hsm/partitions.ts';
export type { AesKey, Bytes, CipherOptions, HmacKey, Key, KeyOf, PairKey, PublicKey, SecretKey, SignOptions } from './hsm/key.ts';
export type {
  AesRequest, CurveName, EcRequest, Ed25519Request, HashName, HmacRequest, KeyRequest, KeyType, KeyUse, MlDsaRequest, MlKemRequest, PairRequest,
  RsaRequest, SecretRequest, SymmetricRequest, X25519Request,
} from './hsm/request.ts';
export { HsmError, type HsmErrorCode, type KeyInfo, type KeySpec, type MechanismInfo, type Payload } from './hsm/core.ts';
