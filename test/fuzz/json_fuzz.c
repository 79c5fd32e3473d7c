/* What is cut is JSON again, no longer than before; what is refused leaves nothing. */
#include "fuzz.h"

#define NAMES "\0\11Plaintext" "\0\16CiphertextBlob" "\0\35Recipient.AttestationDocument" "\0\3a.b"

static void
fuzz_open(void)
{
}

static hsm_in
fuzz_seed(size_t i)
{
	static const char *const seeds[] = {
		"{}",
		"{\"KeyId\":\"alias/a\",\"Plaintext\":\"aGVsbG8=\",\"EncryptionContext\":{\"a\":\"b\",\"\\u00e4\":\"\"}}",
		"{\"CiphertextBlob\":\"AQID\",\"Recipient\":{\"AttestationDocument\":\"\\/+8=\",\"K\":[1,-2.5e+3,true,false,null]}}",
		"{\"a\":{\"b\":\"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk\"},\"x\":[[[{\"y\":[]}]]]}",
		"{\"Plaintext\":\"\\u0041\\u0041\\u003d\\u003D\",\"\\ud83d\\ude00\":\"\xf0\x9f\x98\x80\",\"n\":0,\"m\":-0.0}",
		"{\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,\"10\":10,\"11\":11,\"__prot__\":0}",
	};

	return i < sizeof seeds / sizeof *seeds ? (hsm_in){ (const uint8_t *)seeds[i], strlen(seeds[i]) } : HSM_NONE;
}

static void
fuzz_one(hsm_in input)
{
	static uint8_t text[1u << 20], blobs[1u << 20], again[1u << 20];
	hsm_out json = ROOM(text), cut = ROOM(blobs), second = ROOM(again), none = ROOM(blobs);
	hsm_span spans[4];
	size_t n = 4, m = 0;
	char where[64];
	hsm_status st;

	if (input.len > sizeof text)
		return;
	st = hsm_json_cut(input, IN(NAMES), &json, &cut, spans, &n, where);
	assert_true(st == HSM_OK || st == HSM_E_FORMAT || st == HSM_E_DATA);
	assert_int_equal(strlen(where) > 0, st == HSM_E_DATA);
	if (st != HSM_OK) {
		assert_int_equal(json.len + cut.len + n, 0);
		return;
	}
	assert_true(json.len <= input.len);
	for (size_t i = 0, end = 0; i < n; i++) {
		assert_int_equal(spans[i].offset, end);
		end += spans[i].len;
		assert_true(end <= cut.len);
	}
	st = hsm_json_cut((hsm_in){ text, json.len }, HSM_NONE, &second, &none, spans, &m, where);
	assert_int_equal(st, HSM_OK);
	assert_int_equal(second.len, json.len);
	assert_memory_equal(again, text, json.len);
}
