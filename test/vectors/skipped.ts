/** Files whose algorithm is no mechanism of the core. */
export const notMechanisms: Readonly<Record<string, string>> = {
  'wycheproof/ec_prime_order_curves': 'curve parameters to test, no operation',
  'acvp/ConditioningComponent-BlockCipher_DF-Sp800-90B': 'conditioning inside an entropy source: the operating system\'s',
  'acvp/ConditioningComponent-Hash_DF-Sp800-90B': 'conditioning inside an entropy source: the operating system\'s',
  'acvp/KAS-ECC-CDH-Component-1.0': 'P-192 and binary curves only',
  'acvp/KAS-ECC-CDH-Component-Sp800-56Ar3': 'P-192 and binary curves only',
  'acvp/KAS-ECC-SSC-Sp800-56Ar3': 'Koblitz curves, and MQV',
  'acvp/KDA-OneStep-Sp800-56Cr2': 'one-step derivation is served inside ECDH only, not over a given secret',
  'acvp/KDA-TwoStep-Sp800-56Cr2': 'extraction followed by SP 800-108; PKCS#11 has HKDF',
  'acvp/KTS-IFC-Sp800-56Br2': 'key transport with MAC confirmation is a protocol above OAEP',
  'acvp/SLH-DSA-keyGen-FIPS205': 'AWS-LC has no SLH-DSA',
  'acvp/TLS-v1.2-KDF-RFC7627': 'TLS derivations have no mechanism here',
  'acvp/ctrDRBG-SP800-90Ar1': 'the generator takes no seed from outside; its self-test plays one case natively',
  'acvp/hashDRBG-SP800-90Ar1': 'the generator is CTR_DRBG',
  'acvp/hmacDRBG-SP800-90Ar1': 'the generator is CTR_DRBG',
};

/** Cases left out of files that are played: how many, and why. */
export const leftOut: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'acvp/ACVP-AES-CTR-1.0': { 'not whole bytes': 35 },
  'acvp/SHA2-256-1.0': { 'messages of gigabytes': 4 },
  'acvp/SHA2-384-1.0': { 'not whole bytes': 53, 'messages of gigabytes': 4 },
  'acvp/SHA2-512-1.0': { 'messages of gigabytes': 4 },
  'acvp/SHA3-256-2.0': { 'not whole bytes': 54, 'messages of gigabytes': 4 },
  'acvp/SHA3-512-2.0': { 'not whole bytes': 52, 'messages of gigabytes': 4 },
  'acvp/SHAKE-256-1.0': { 'not whole bytes': 70 },
  'wycheproof/pbkdf2_hmacsha256': { 'an empty password is no key': 1 },
  'acvp/KDF-1.0': { 'the counter stands inside a byte': 37 },
  'wycheproof/ecdsa_secp256r1_sha256_p1363': { 'PKCS#11 takes r || s of any even length up to twice the order\'s (3.2, 6.3.1)': 12 },
  'wycheproof/ecdsa_secp384r1_sha512_p1363': { 'PKCS#11 takes r || s of any even length up to twice the order\'s (3.2, 6.3.1)': 10 },
  'acvp/ECDSA-SigGen-FIPS186-5': { 'SP 800-106 makes messages that are not whole bytes': 36 },
  'acvp/DetECDSA-SigGen-FIPS186-5': { 'SP 800-106 makes messages that are not whole bytes': 45 },
  'acvp/XECDH-SSC-RFC7748': { 'Ed448 and X448, which AWS-LC has not': 25 },
  'acvp/XECDH-keyGen-RFC7748': { 'Ed448 and X448, which AWS-LC has not': 9 },
  'acvp/EDDSA-SigGen-1.0': { 'Ed448 and X448, which AWS-LC has not': 40 },
  'acvp/EDDSA-SigVer-1.0': { 'Ed448 and X448, which AWS-LC has not': 10 },
  'acvp/EDDSA-KeyVer-1.0': { 'Ed448 and X448, which AWS-LC has not': 4 },
  'acvp/EDDSA-KeyGen-1.0': { 'Ed448 and X448, which AWS-LC has not': 3 },
  'acvp/RSA-SigGen-FIPS186-5': { 'SHAKE as hash or mask, which PKCS#11 has not for RSA': 18, 'SP 800-106 makes messages that are not whole bytes': 8 },
  'acvp/RSA-SigVer-FIPS186-5': { 'SHAKE as hash or mask, which PKCS#11 has not for RSA': 144 },
  'acvp/ML-DSA-sigGen-FIPS204': { 'the internal interface has no mechanism': 8 },
  'acvp/ML-DSA-sigVer-FIPS204': { 'the internal interface has no mechanism': 8 },
};

const shapeless = 'no DER of two numbers of the order\'s length: PKCS#11 has r || s';
const representative = 'PKCS#11 has no mechanism for a message representative';
const shake = 'PKCS#11 has no number for this hash as a parameter';
/** Cases that the Cryptoki door leaves out besides: PKCS#11 has no words for them. */
export const leftOutOfCryptoki: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'acvp/SHAKE-256-1.0': { 'PKCS#11 has no number for this digest': 10 },
  'wycheproof/ecdsa_secp256k1_sha256': { [shapeless]: 234 },
  'wycheproof/ecdsa_secp256r1_sha256': { [shapeless]: 235 },
  'wycheproof/ecdsa_secp521r1_sha512': { [shapeless]: 228 },
  'acvp/DetECDSA-SigGen-FIPS186-5': { 'ECDSA in PKCS#11 has no parameter that asks for RFC 6979': 45 },
  'wycheproof/mldsa_44_sign_seed': { [representative]: 8 },
  'wycheproof/mldsa_65_sign_seed': { [representative]: 17 },
  'acvp/ML-DSA-sigGen-FIPS204': { [representative]: 8, [shake]: 2 },
  'acvp/ML-DSA-sigVer-FIPS204': { [representative]: 8, [shake]: 1 },
};
