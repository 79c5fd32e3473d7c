import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { has, modulePath, newToken, pin, type Token } from './token.ts';

const require = createRequire(import.meta.url);
function load(): typeof import('pkcs11js') | undefined {
  try {
    return require('pkcs11js') as typeof import('pkcs11js');
  } catch {
    return undefined;
  }
}
const js = load();

describe.skipIf(js === undefined || !has('pkcs11-tool'))('pkcs11js, in this process', () => {
  const pkcs11js = js as typeof import('pkcs11js');
  let token: Token;
  let p11: InstanceType<typeof pkcs11js.PKCS11>;
  let session: Buffer;
  beforeAll(() => {
    token = newToken('js');
    process.env['STRONGROOM_HOME'] = token.home;
    p11 = new pkcs11js.PKCS11();
    p11.load(modulePath);
    p11.C_Initialize();
    const [slot] = p11.C_GetSlotList(true);
    session = p11.C_OpenSession(slot as Buffer, pkcs11js.CKF_RW_SESSION | pkcs11js.CKF_SERIAL_SESSION);
    p11.C_Login(session, pkcs11js.CKU_USER, pin);
  });
  afterAll(() => {
    p11.C_Finalize();
    p11.close();
    delete process.env['STRONGROOM_HOME'];
    token.remove();
  });

  test('signs in parts with a P-256 key', () => {
    const keys = p11.C_GenerateKeyPair(session, { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
      [{ type: pkcs11js.CKA_EC_PARAMS, value: Buffer.from('06082A8648CE3D030107', 'hex') }, { type: pkcs11js.CKA_VERIFY, value: true }],
      [{ type: pkcs11js.CKA_SIGN, value: true }]);
    p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA_SHA256 }, keys.privateKey);
    p11.C_SignUpdate(session, Buffer.from('one '));
    p11.C_SignUpdate(session, Buffer.from('two'));
    const signature = p11.C_SignFinal(session, Buffer.alloc(64));
    p11.C_VerifyInit(session, { mechanism: pkcs11js.CKM_ECDSA_SHA256 }, keys.publicKey);
    p11.C_VerifyUpdate(session, Buffer.from('one two'));
    expect(p11.C_VerifyFinal(session, signature)).toBe(true);
  });

  test('seals with AES-GCM', () => {
    const key = p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [{ type: pkcs11js.CKA_VALUE_LEN, value: 32 },
      { type: pkcs11js.CKA_ENCRYPT, value: true }, { type: pkcs11js.CKA_DECRYPT, value: true }]);
    const mechanism = { mechanism: pkcs11js.CKM_AES_GCM, parameter: { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv: Buffer.alloc(12, 1), ivBits: 96, aad: Buffer.from('aad'), tagBits: 128 } };
    p11.C_EncryptInit(session, mechanism, key);
    const sealed = p11.C_Encrypt(session, Buffer.from('in the clear'), Buffer.alloc(64));
    expect(sealed).toHaveLength(28);
    p11.C_DecryptInit(session, mechanism, key);
    expect(p11.C_Decrypt(session, sealed, Buffer.alloc(64)).toString()).toBe('in the clear');
    sealed.writeUInt8(sealed.readUInt8(0) ^ 1, 0);
    p11.C_DecryptInit(session, mechanism, key);
    expect(() => p11.C_Decrypt(session, sealed, Buffer.alloc(64))).toThrow(/CKR_ENCRYPTED_DATA_INVALID/);
  });

  test('does not tell a sensitive value', () => {
    const key = p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [{ type: pkcs11js.CKA_VALUE_LEN, value: 32 }]);
    expect(() => p11.C_GetAttributeValue(session, key, [{ type: pkcs11js.CKA_VALUE }])).toThrow(/SENSITIVE/);
  });
});
