/* SP 800-108 in feedback and double-pipeline mode, and ECDH with the one-step
 * derivation of SP 800-56C, as programs ask for them. Known answers: NIST CAVP,
 * KBKDF800-108 (KDFFeedback_gen.rsp, KDFDblPipeline_gen.rsp). */
#include "room.h"

struct vector { CK_MECHANISM_TYPE mech, prf; CK_ULONG counter_bits; const char *key, *iv, *fixed, *out; };

static const struct vector vectors[] = {
	{ CKM_SP800_108_FEEDBACK_KDF, CKM_SHA256_HMAC, 32, "93f698e842eed75394d629d957e2e89c6e741f810b623c8b901e38376d068e7b",
	  "9f575d9059d3e0c0803f08112f8a806de3c3471912cdf42b095388b14b33508e",
	  "53b89c18690e2057a1d167822e636de50be0018532c431f7f5e37f77139220d5e042599ebe266af5767ee18cd2c5c19a1f0f80",
	  "bd1476f43a4e315747cf5918e0ea5bc0d98769457477c3ab18b742def0e079a933b756365afb5541f253fee43c6fd788a44041038509e9eeb68f7d65ffbb5f95" },
	{ CKM_SP800_108_FEEDBACK_KDF, CKM_AES_CMAC, 16, "d7f5fa7551645de0b36aecd46565f954", "",
	  "fb5294ed40a0e4aa70a7be13913070a4c5cfc05f89b9f7dd26a493b8c63889c7c3b0b60dd6d598ffa296a426224c727a501946",
	  "7164471f559812581a53aaf7fb6d6c53a1293115cda873887efcc7ce6b3a026b2d19f0d38db8590e218a2676df88f53cab3313ed63bd1e4828f3c066ea5eb1fd" },
	{ CKM_SP800_108_FEEDBACK_KDF, CKM_AES_CMAC, 0, "5c996c922f65de97d4408373229814c6", "28dc945cb8337ab5336c3e9b5bad21c7",
	  "62afe5fed91e797221a854336b0aadd8a05ad0e3c8345729897b2efcec5a1178a2fa4c063007b67a7015e0d6b7271ea8d86b44",
	  "88a9aae193abdd3fe8143bab66014ae41dc2d12ea9d08f5871588fc5d827924eb9942989d7a36d4b3b107997566472cad5942bd13cb5cff32b9dae30f1bb6300" },
	{ CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, 8, "08a5a251b8e4826fbf73292f4cd6c790", "",
	  "aa5acbce73a98d4c4f361d5c22a2cc6f6bdc30027aa31af1ba8b15a5bd5b6a34d133519ad1a82483c2d2a6dd9a97273a780421",
	  "ff1c72ec38b8968a1ce0942a571a1f522ddd2a1c6ffc2b60c90bb54a5c0e9de40d289686cbff127b408ec64ef615b18c1abc0736ae4c94e33e54d832e686276e" },
	{ CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, 32, "2451975a33ab0c7535e00abe7b57982335b0471ad857a093c6765e6c58443852", "",
	  "fb95eb3c47dcad3b783b045b29bcb6f5aefc0389735843b92b4d8fab97d61350b76b2a83442d7c5aa497aa1cf441760281a08b",
	  "2f157687f782c8b64325826e3c755194c70abffd9d78c4678924b9d73dcced86dcaf7dfa3bf56cf03fa45c7fca05ca1092c41bbd934131e95db2b204241a9d02" },
	{ CKM_SP800_108_DOUBLE_PIPELINE_KDF, CKM_AES_CMAC, 0, "ada2452f1f141a82c7a1b7d3e09ffed1", "",
	  "335660eb265d2044efa06eacd848d3f9f57d219011343318f3a964df4a6fb1bf6cbdee711c7fcbe73b8f257f992e47e8b065af",
	  "a73bd29176e38e761222ae07d639181f4b2c555a3b261815cde5d88a67c8b95c58b6b66ea4f10608c6d799b051519fc8e89de00cdc556350a7d966475086f9af" },
};

static CK_SESSION_HANDLE h;

static size_t
from_hex(const char *text, CK_BYTE *bytes)
{
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte;

		assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
		bytes[i] = (CK_BYTE)byte;
	}
	return n;
}

static CK_OBJECT_HANDLE
secret(CK_BYTE *value, size_t len)
{
	CK_OBJECT_CLASS klass = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &klass, sizeof klass }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_VALUE, value, len },
		{ CKA_DERIVE, &yes, 1 }, { CKA_SIGN, &yes, 1 }, { CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 },
	};
	CK_OBJECT_HANDLE key = 0;

	assert_ok(f->C_CreateObject(h, t, sizeof t / sizeof t[0], &key));
	return key;
}

/* A key of n bytes that may be looked at. */
static CK_RV
derive(CK_MECHANISM *m, CK_OBJECT_HANDLE base, CK_BYTE *value, CK_ULONG n)
{
	CK_OBJECT_CLASS klass = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &klass, sizeof klass }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_VALUE_LEN, &n, sizeof n },
		{ CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 },
	};
	CK_ATTRIBUTE get = { CKA_VALUE, value, n };
	CK_OBJECT_HANDLE key = 0;
	CK_RV rv = f->C_DeriveKey(h, m, base, t, sizeof t / sizeof t[0], &key);

	if (rv != CKR_OK)
		return rv;
	assert_ok(f->C_GetAttributeValue(h, key, &get, 1));
	assert_int_equal(get.ulValueLen, n);
	return f->C_DestroyObject(h, key);
}

static void
known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		const struct vector *v = &vectors[i];
		CK_BYTE key[64], iv[64], fixed[64], want[64], got[64];
		size_t key_len = from_hex(v->key, key), iv_len = from_hex(v->iv, iv), n = from_hex(v->fixed, fixed);
		CK_SP800_108_COUNTER_FORMAT counter = { CK_FALSE, v->counter_bits };
		CK_PRF_DATA_PARAM parts[3] = { { CK_SP800_108_ITERATION_VARIABLE, NULL, 0 } };
		CK_SP800_108_FEEDBACK_KDF_PARAMS fed = { v->prf, 1, parts, iv_len, iv_len == 0 ? NULL : iv, 0, NULL };
		CK_SP800_108_KDF_PARAMS two = { v->prf, 1, parts, 0, NULL };
		CK_MECHANISM m = { v->mech, &fed, sizeof fed };

		if (v->counter_bits != 0)
			parts[fed.ulNumberOfDataParams++] = (CK_PRF_DATA_PARAM){ CK_SP800_108_COUNTER, &counter, sizeof counter };
		parts[fed.ulNumberOfDataParams++] = (CK_PRF_DATA_PARAM){ CK_SP800_108_BYTE_ARRAY, fixed, n };
		two.ulNumberOfDataParams = fed.ulNumberOfDataParams;
		if (v->mech == CKM_SP800_108_DOUBLE_PIPELINE_KDF)
			m = (CK_MECHANISM){ v->mech, &two, sizeof two };
		n = from_hex(v->out, want);
		assert_ok(derive(&m, secret(key, key_len), got, n));
		assert_memory_equal(got, want, n);
	}
}

/* By hand, with the counter in front and the fixed bytes on both sides. */
static void
parts_stand_where_they_are_put(void **state)
{
	CK_SP800_108_COUNTER_FORMAT counter = { CK_FALSE, 16 };
	CK_SP800_108_DKM_LENGTH_FORMAT length = { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32 };
	CK_PRF_DATA_PARAM parts[] = {
		{ CK_SP800_108_BYTE_ARRAY, "ab", 2 }, { CK_SP800_108_COUNTER, &counter, sizeof counter },
		{ CK_SP800_108_BYTE_ARRAY, "cd", 2 }, { CK_SP800_108_ITERATION_VARIABLE, NULL, 0 },
		{ CK_SP800_108_DKM_LENGTH, &length, sizeof length },
	};
	CK_SP800_108_FEEDBACK_KDF_PARAMS p = { CKM_SHA256_HMAC, 5, parts, 2, (CK_BYTE *)"iv", 0, NULL };
	CK_MECHANISM m = { CKM_SP800_108_FEEDBACK_KDF, &p, sizeof p }, mac = { CKM_SHA256_HMAC, NULL, 0 };
	CK_BYTE data[] = { 'a', 'b', 0, 1, 'c', 'd', 'i', 'v', 0, 0, 1, 0 }, sum[32], got[32];
	CK_OBJECT_HANDLE base = secret((CK_BYTE *)"0123456789abcdef", 16);
	CK_ULONG n = sizeof sum;

	(void)state;
	assert_ok(f->C_SignInit(h, &mac, base));
	assert_ok(f->C_Sign(h, data, sizeof data, sum, &n));
	assert_ok(derive(&m, base, got, 32));
	assert_memory_equal(got, sum, 32);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	CK_SP800_108_COUNTER_FORMAT counter = { CK_FALSE, 8 };
	CK_PRF_DATA_PARAM fed = { CK_SP800_108_ITERATION_VARIABLE, NULL, 0 }, count = { CK_SP800_108_COUNTER, &counter, sizeof counter };
	CK_PRF_DATA_PARAM wrong = { CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof counter };
	CK_SP800_108_DKM_LENGTH_FORMAT dkm = { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32 };
	CK_PRF_DATA_PARAM length = { CK_SP800_108_DKM_LENGTH, &dkm, sizeof dkm };
	CK_PRF_DATA_PARAM parts[3];
	CK_SP800_108_KDF_PARAMS p = { CKM_SHA256_HMAC, 1, parts, 0, NULL };
	CK_MECHANISM m = { CKM_SP800_108_DOUBLE_PIPELINE_KDF, &p, sizeof p };
	CK_OBJECT_HANDLE base = secret((CK_BYTE *)"0123456789abcdef", 16);
	CK_BYTE got[32], long_one[8192];

	(void)state;
	/* Nothing fed back; fed back twice; a counter where the chain belongs. */
	parts[0] = count;
	assert_rv(derive(&m, base, got, 32), CKR_MECHANISM_PARAM_INVALID);
	parts[0] = parts[1] = fed;
	p.ulNumberOfDataParams = 2;
	assert_rv(derive(&m, base, got, 32), CKR_MECHANISM_PARAM_INVALID);
	parts[0] = wrong;
	p.ulNumberOfDataParams = 1;
	assert_rv(derive(&m, base, got, 32), CKR_MECHANISM_PARAM_INVALID);
	/* More blocks than the counter counts. */
	parts[0] = fed;
	parts[1] = count;
	p.ulNumberOfDataParams = 2;
	assert_rv(derive(&m, base, long_one, 8192), CKR_MECHANISM_PARAM_INVALID);
	assert_ok(derive(&m, base, long_one, 8160));
	/* The length once. */
	parts[1] = parts[2] = length;
	assert_ok(derive(&m, base, got, 32));
	p.ulNumberOfDataParams = 3;
	assert_rv(derive(&m, base, got, 32), CKR_MECHANISM_PARAM_INVALID);
	parts[1] = count;
	p.ulNumberOfDataParams = 2;
	m.ulParameterLen--;
	assert_rv(derive(&m, base, got, 32), CKR_MECHANISM_PARAM_INVALID);
	p.prfType = CKM_SHA256;
	m.ulParameterLen++;
	assert_rv(derive(&m, base, got, 32), CKR_MECHANISM_PARAM_INVALID);
}

/* H(00000001 | Z | info), where ANSI X9.63 has the counter after Z. */
static void
ecdh_with_the_counter_first(void **state)
{
	static const CK_ULONG kdfs[][2] = {
		{ CKD_SHA1_KDF_SP800, CKM_SHA_1 }, { CKD_SHA224_KDF_SP800, CKM_SHA224 }, { CKD_SHA256_KDF_SP800, CKM_SHA256 },
		{ CKD_SHA384_KDF_SP800, CKM_SHA384 }, { CKD_SHA512_KDF_SP800, CKM_SHA512 }, { CKD_SHA3_224_KDF_SP800, CKM_SHA3_224 },
		{ CKD_SHA3_256_KDF_SP800, CKM_SHA3_256 }, { CKD_SHA3_384_KDF_SP800, CKM_SHA3_384 }, { CKD_SHA3_512_KDF_SP800, CKM_SHA3_512 },
	};
	CK_OBJECT_HANDLE pub, priv;
	CK_BYTE point[80], z[32], data[4 + 32 + 4] = { 0, 0, 0, 1 }, sum[64], got[20];
	CK_ATTRIBUTE get = { CKA_EC_POINT, point, sizeof point }, grant = { CKA_DERIVE, &yes, 1 };
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, 0, point };
	CK_MECHANISM m = { CKM_ECDH1_DERIVE, &p, sizeof p };

	(void)state;
	pair_p256(h, false, "agrees", &pub, &priv);
	assert_ok(f->C_SetAttributeValue(h, priv, &grant, 1));
	assert_ok(f->C_GetAttributeValue(h, pub, &get, 1));
	p.ulPublicDataLen = get.ulValueLen;
	assert_ok(derive(&m, priv, z, 32));
	memcpy(data + 4, z, 32);
	memcpy(data + 36, "info", 4);
	p.pSharedData = (CK_BYTE *)"info";
	p.ulSharedDataLen = 4;
	for (size_t i = 0; i < sizeof kdfs / sizeof kdfs[0]; i++) {
		CK_MECHANISM digest = { kdfs[i][1], NULL, 0 };
		CK_ULONG n = sizeof sum;

		p.kdf = kdfs[i][0];
		assert_ok(derive(&m, priv, got, 20));
		assert_ok(f->C_DigestInit(h, &digest));
		assert_ok(f->C_Digest(h, data, sizeof data, sum, &n));
		assert_memory_equal(got, sum, 20);
	}
	p.kdf = CKD_SHA3_512_KDF_SP800 + 1;
	assert_rv(derive(&m, priv, got, 20), CKR_MECHANISM_PARAM_INVALID);
}

static int
session_open(void **state)
{
	if (home_begin(state) != 0)
		return -1;
	assert_ok(f->C_Initialize(NULL));
	token_begin();
	h = session_user();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(parts_stand_where_they_are_put),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(ecdh_with_the_counter_first),
	};

	return cmocka_run_group_tests(tests, session_open, home_end);
}
