// Loads the Cryptoki module under whatever limits it was started with, and uses it.
import pkcs11js from 'pkcs11js';

const pkcs11 = new pkcs11js.PKCS11();
pkcs11.load(process.argv[2]!);
pkcs11.C_Initialize();
const { libraryDescription } = pkcs11.C_GetInfo();
const slot = pkcs11.C_GetSlotList(false)[0]!;
pkcs11.C_InitToken(slot, '12345678', 'limits');
const session = pkcs11.C_OpenSession(pkcs11.C_GetSlotList(true)[0]!, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
const random = pkcs11.C_GenerateRandom(session, Buffer.alloc(32));
pkcs11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
const digest = pkcs11.C_Digest(session, Buffer.from('abc'), Buffer.alloc(64));
pkcs11.C_CloseSession(session);
pkcs11.C_Finalize();
console.log(JSON.stringify({ libraryDescription, random: new Set(random).size > 8, digest: digest.toString('hex') }));
