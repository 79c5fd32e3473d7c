#include "vault.h"

#include "base/arena.h"
#include "module/text.h"

/* Names as the call takes them: u16 length | path. */
#define PLAINTEXT "\0\11Plaintext"
#define BLOB "\0\16CiphertextBlob"
#define DOCUMENT "\0\35Recipient.AttestationDocument"

static struct { char json[65536]; uint8_t blobs[65536]; hsm_span spans[8]; size_t n, blobs_len; char where[64]; } got;

static hsm_status
cut(hsm_in body, hsm_in names)
{
	hsm_out json = { (uint8_t *)got.json, sizeof got.json - 1, 0 }, blobs = ROOM(got.blobs);
	hsm_status st;

	got.n = sizeof got.spans / sizeof *got.spans;
	st = hsm_json_cut(body, names, &json, &blobs, got.spans, &got.n, got.where);
	got.json[json.len] = '\0';
	got.blobs_len = blobs.len;
	if (st != HSM_OK) {
		assert_int_equal(json.len, 0);
		assert_int_equal(blobs.len, 0);
		assert_int_equal(got.n, 0);
	}
	return st;
}

static void
a_blob_is_cut_out_and_the_rest_copied(void **state)
{
	(void)state;
	assert_int_equal(cut(IN(" {\"KeyId\" : \"alias/a\", \"Plaintext\":\"aGVsbG8=\" ,\"x\":[1,{\"Plaintext\":\"AA==\"}]}\n"), IN(PLAINTEXT)), HSM_OK);
	assert_string_equal(got.json, " {\"KeyId\" : \"alias/a\", \"Plaintext\":0 ,\"x\":[1,{\"Plaintext\":\"AA==\"}]}\n");
	assert_int_equal(got.n, 1);
	assert_int_equal(got.spans[0].offset, 0);
	assert_int_equal(got.spans[0].len, 5);
	assert_memory_equal(got.blobs, "hello", 5);
	assert_string_equal(got.where, "");
}

static void
several_blobs_lie_one_after_another(void **state)
{
	(void)state;
	assert_int_equal(cut(IN("{\"CiphertextBlob\":\"AQID\",\"Recipient\":{\"AttestationDocument\":\"/+8=\",\"K\":\"v\"},\"Plaintext\":\"\"}"),
	                     IN(PLAINTEXT BLOB DOCUMENT)), HSM_OK);
	assert_string_equal(got.json, "{\"CiphertextBlob\":0,\"Recipient\":{\"AttestationDocument\":1,\"K\":\"v\"},\"Plaintext\":2}");
	assert_int_equal(got.n, 3);
	assert_int_equal(got.spans[1].offset, 3);
	assert_int_equal(got.spans[1].len, 2);
	assert_int_equal(got.spans[2].len, 0);
	assert_memory_equal(got.blobs, "\1\2\3\xff\xef", 5);
}

static void
escapes_are_understood_in_names_and_in_base64(void **state)
{
	(void)state;
	assert_int_equal(cut(IN("{\"Pl\\u0061intext\":\"\\/\\u002b8\\u003D\"}"), IN(PLAINTEXT)), HSM_OK);
	assert_string_equal(got.json, "{\"Pl\\u0061intext\":0}");
	assert_int_equal(got.spans[0].len, 2);
	assert_memory_equal(got.blobs, "\xff\xef", 2);
	/* every character escaped, over more than one lot */
	{
		char body[4096] = "{\"Plaintext\":\"";

		for (unsigned i = 0; i < 200; i++)
			strcat(body, "\\u0051");         /* Q */
		strcat(body, "\"}");
		assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, IN(PLAINTEXT)), HSM_OK);
		assert_int_equal(got.spans[0].len, 150);
		for (unsigned i = 0; i < 150; i += 3)
			assert_memory_equal(got.blobs + i, "\x41\x04\x10", 3);
	}
}

static void
named_members_that_are_no_strings_stay(void **state)
{
	(void)state;
	assert_int_equal(cut(IN("{\"Plaintext\":null,\"CiphertextBlob\":{\"a\":1},\"Recipient\":\"AAAA\"}"), IN(PLAINTEXT BLOB DOCUMENT)), HSM_OK);
	assert_string_equal(got.json, "{\"Plaintext\":null,\"CiphertextBlob\":{\"a\":1},\"Recipient\":\"AAAA\"}");
	assert_int_equal(got.n, 0);
	/* a name that only looks like a way */
	assert_int_equal(cut(IN("{\"Recipient.AttestationDocument\":\"AAAA\"}"), IN(DOCUMENT)), HSM_OK);
	assert_int_equal(got.n, 0);
	/* the way goes on after a long name and after an array */
	assert_int_equal(cut(IN("{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":{\"b\":\"x\"},\"c\":[{}],\"Plaintext\":\"AAAA\"}"), IN(PLAINTEXT)), HSM_OK);
	assert_int_equal(got.n, 1);
}

static void
bad_base64_is_refused_with_its_way(void **state)
{
	static const char *const bad[] = { "A", "AA", "AAA", "A===", "AA=A", "=AAA", "AA A", "AAAA=", "AAAA====", "AA==AAAA",
		"AB==", "AAB=", "AA-A", "AA_A", "AA.A", "AA\\nA", "AAA\\u0000", "\xc3\xa4\x41\x41", "AAA\\u00e4", "AA\\u4e00A" };
	char body[128];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(body, sizeof body, "{\"a\":{},\"Plaintext\":\"%s\"}", bad[i]);
		assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, IN(PLAINTEXT)), HSM_E_DATA);
		assert_string_equal(got.where, "Plaintext");
		snprintf(body, sizeof body, "{\"CiphertextBlob\":\"AAAA\",\"Recipient\":{\"a\":{\"b\":{}},\"AttestationDocument\":\"%s\"}}", bad[i]);
		assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, IN(BLOB DOCUMENT)), HSM_E_DATA);
		assert_string_equal(got.where, "Recipient.AttestationDocument");
	}
	for (unsigned c = 0x20; c < 0x80; c++) {
		const bool good = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", (int)c) != NULL;

		if (c == '"' || c == '\\')
			continue;
		snprintf(body, sizeof body, "{\"Plaintext\":\"%cAAA\"}", (int)c);
		assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, IN(PLAINTEXT)), good ? HSM_OK : HSM_E_DATA);
	}
}

static void
what_is_not_json_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", "[]", "1", "\"a\"", "null", "{", "}", "{}x", "{},", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{a:1}", "{'a':1}", "{\"a\":1 \"b\":2}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":1e+}",
		"{\"a\":-}", "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":tru}", "{\"a\":True}", "{\"a\":nulll}", "{\"a\":[1,]}",
		"{\"a\":[1 2]}", "{\"a\":[}", "{\"a\":{]}", "{\"a\":\"\n\"}", "{\"a\":\"\t\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}",
		"{\"a\":\"\\u12g4\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800\\ud800\"}",
		"{\"a\":\"", "{\"a\":\"\\", "{\"a\":\"\\\"}", "{\"a\":\"\x80\"}", "{\"a\":\"\xc0\xaf\"}", "{\"a\":\"\xed\xa0\x80\"}",
		"{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\xe4\xb8\"}", "\xef\xbb\xbf{}", "{\"a\":1}/**/", "{\"\\ud800\":1}", "{\"a\":1}\f" };
	static const char *const good[] = { "{}", " { } ", "{\"a\":-0.5e-10}", "{\"a\":0}", "{\"a\":1E+2}", "{\"a\":[]}", "{\"a\":[[],{}]}",
		"{\"a\":true,\"b\":false,\"c\":null}", "{\"\":\"\"}", "{\"a\":\"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\b\\f\\n\\r\\t\\\\\\/\"}", "{\"a\":\"\x7f\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(cut((hsm_in){ (const uint8_t *)bad[i], strlen(bad[i]) }, HSM_NONE), HSM_E_FORMAT);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(cut((hsm_in){ (const uint8_t *)good[i], strlen(good[i]) }, HSM_NONE), HSM_OK);
		assert_string_equal(got.json, good[i]);
	}
	assert_int_equal(cut((hsm_in){ (const uint8_t *)"{\"a\0b\":1}", 9 }, HSM_NONE), HSM_E_FORMAT);
}

static void
depth_has_an_end(void **state)
{
	char body[256] = "{\"a\":";

	(void)state;
	for (unsigned i = 0; i < 31; i++)
		strcat(body, "[");
	for (unsigned i = 0; i < 31; i++)
		strcat(body, "]");
	strcat(body, "}");
	assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, HSM_NONE), HSM_OK);
	memset(body, 0, sizeof body);
	strcat(body, "{\"a\":");
	for (unsigned i = 0; i < 32; i++)
		strcat(body, "[");
	for (unsigned i = 0; i < 32; i++)
		strcat(body, "]");
	strcat(body, "}");
	assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, HSM_NONE), HSM_E_FORMAT);
}

static void
no_name_twice_and_no_proto(void **state)
{
	char body[32768];
	size_t len;

	(void)state;
	assert_int_equal(cut(IN("{\"a\":1,\"a\":2}"), HSM_NONE), HSM_E_FORMAT);
	assert_int_equal(cut(IN("{\"a\":1,\"\\u0061\":2}"), HSM_NONE), HSM_E_FORMAT);
	assert_int_equal(cut(IN("{\"x\":{\"a\":1,\"b\":[],\"a\":2}}"), HSM_NONE), HSM_E_FORMAT);
	assert_int_equal(cut(IN("{\"x\":[{\"a\":1},{\"a\":2}],\"a\":{\"a\":{\"a\":1}}}"), HSM_NONE), HSM_OK);
	assert_int_equal(cut(IN("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\uDE00\":2}"), HSM_NONE), HSM_E_FORMAT);
	assert_int_equal(cut(IN("{\"a\":1,\"ab\":2,\"b\":3,\"A\":4,\"\":5}"), HSM_NONE), HSM_OK);
	assert_int_equal(cut(IN("{\"__proto__\":1}"), HSM_NONE), HSM_E_FORMAT);
	assert_int_equal(cut(IN("{\"x\":{\"__pr\\u006fto__\":{}}}"), HSM_NONE), HSM_E_FORMAT);
	assert_int_equal(cut(IN("{\"Plaintext\":\"AAAA\",\"Plain\\u0074ext\":\"AAAA\"}"), IN(PLAINTEXT)), HSM_E_FORMAT);

	/* many members: grown, sorted, and the last one a double or not */
	len = (size_t)snprintf(body, sizeof body, "{");
	for (unsigned i = 0; i < 1000; i++)
		len += (size_t)snprintf(body + len, sizeof body - len, "\"n%u\":{\"a\":%u},", i * 7919 % 1000, i);
	snprintf(body + len, sizeof body - len, "\"last\":1}");
	assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, HSM_NONE), HSM_OK);
	snprintf(body + len, sizeof body - len, "\"n50\\u0030\":1}");
	assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, HSM_NONE), HSM_E_FORMAT);
}

static void
rooms_are_asked_for_and_kept(void **state)
{
	uint8_t json[64], blobs[64];
	hsm_out j = { NULL, 0, 0 }, b = { NULL, 0, 0 };
	const hsm_in body = IN("{\"Plaintext\":\"aGVsbG8=\"}");
	hsm_span spans[1];
	size_t n = 1;
	char where[64];

	(void)state;
	assert_int_equal(hsm_json_cut(body, IN(PLAINTEXT), &j, &b, spans, &n, where), HSM_OK);
	assert_int_equal(j.len, body.len);
	assert_true(b.len >= 5);
	j = (hsm_out){ json, 10, 0 };
	b = ROOM(blobs);
	n = 1;
	assert_int_equal(hsm_json_cut(body, IN(PLAINTEXT), &j, &b, spans, &n, where), HSM_E_BUFFER);
	assert_int_equal(j.len, body.len);
	j = ROOM(json);
	n = 0;
	assert_int_equal(hsm_json_cut(body, IN(PLAINTEXT), &j, &b, spans, &n, where), HSM_E_BUFFER);
	n = 1;
	assert_int_equal(hsm_json_cut(body, IN("\0\1"), &j, &b, spans, &n, where), HSM_E_ARGS);
}

static void
base64_goes_there_and_back(void **state)
{
	static const struct { const char *bytes, *text; } known[] = {     /* RFC 4648, section 10 */
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	uint8_t bytes[700], text[1000];
	char body[1100];
	hsm_out out;

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		out = ROOM(text);
		assert_int_equal(hsm_base64((hsm_in){ (const uint8_t *)known[i].bytes, strlen(known[i].bytes) }, &out), HSM_OK);
		assert_int_equal(out.len, strlen(known[i].text));
		assert_memory_equal(text, known[i].text, out.len);
	}
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
	for (size_t len = 0; len < sizeof bytes; len += 1 + len / 16) {
		out = ROOM(text);
		assert_int_equal(hsm_base64((hsm_in){ bytes, len }, &out), HSM_OK);
		snprintf(body, sizeof body, "{\"Plaintext\":\"%.*s\"}", (int)out.len, (char *)text);
		assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, IN(PLAINTEXT)), HSM_OK);
		assert_int_equal(got.blobs_len, len);
		assert_memory_equal(got.blobs, bytes, len);
	}
	out = (hsm_out){ NULL, 0, 0 };
	assert_int_equal(hsm_base64(IN("abcd"), &out), HSM_OK);
	assert_int_equal(out.len, 8);
}

static void
utf8_is_checked(void **state)
{
	(void)state;
	assert_true(utf8_valid(IN("plain ascii, more than eight")));
	assert_true(utf8_valid(IN("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf")));
	assert_false(utf8_valid(IN("1234567\x80")));
	assert_false(utf8_valid(IN("\xe0\x9f\x80")));
	assert_false(utf8_valid(IN("\xed\xa0\x80")));
	assert_false(utf8_valid(IN("\xf0\x8f\x80\x80")));
	assert_false(utf8_valid(IN("\xf5\x80\x80\x80")));
	assert_false(utf8_valid(IN("\xc3")));
	assert_false(utf8_valid(IN("\xc3(")));
}

#define PASSWORD "\0\21=KeyStorePassword"
#define SECRET "\0\64=XksProxyAuthenticationCredential.RawSecretAccessKey"

static void
secret_text_is_cut_as_it_stands(void **state)
{
	static const char key[] = "{\"XksProxyAuthenticationCredential\":{\"AccessKeyId\":\"A\",\"RawSecretAccessKey\":\"a+b/c=\"},\"KeyStorePassword\":\"p\\u00e9\\\"\\ud83d\\ude00\"}";

	(void)state;
	assert_int_equal(cut(IN(key), IN(SECRET PASSWORD PLAINTEXT)), HSM_OK);
	assert_string_equal(got.json, "{\"XksProxyAuthenticationCredential\":{\"AccessKeyId\":\"A\",\"RawSecretAccessKey\":0},\"KeyStorePassword\":1}");
	assert_int_equal(got.n, 2);
	assert_int_equal(got.spans[0].len, 6);
	assert_int_equal(got.spans[1].offset, 6);
	assert_int_equal(got.spans[1].len, 8);
	assert_memory_equal(got.blobs, "a+b/c=p\xc3\xa9\"\xf0\x9f\x98\x80", 14);
	/* Beside base64, and longer than base64 of its length could be. */
	assert_int_equal(cut(IN("{\"Plaintext\":\"aGVsbG8=\",\"KeyStorePassword\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}"),
	                     IN(PASSWORD PLAINTEXT)), HSM_OK);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.spans[0].len, 5);
	assert_int_equal(got.spans[1].len, 70);
	assert_int_equal(cut(IN("{\"KeyStorePassword\":\"\"}"), IN(PASSWORD)), HSM_OK);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.spans[0].len, 0);
	assert_int_equal(cut(IN("{\"KeyStorePassword\":[\"a\"]}"), IN(PASSWORD)), HSM_OK);
	assert_int_equal(got.n, 0);
	assert_int_equal(cut(IN("{}"), IN("\0\1=")), HSM_E_ARGS);
}

static void
room_that_runs_out_is_told(void **state)
{
	char body[4096] = "{";
	const size_t before = arena_live();

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		snprintf(body + strlen(body), sizeof body - strlen(body), "\"n%u\":1,", i);
	strcat(body, "\"x\":1}");
	fault_after(0);
	assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, HSM_NONE), HSM_E_MEMORY);
	fault_off();
	assert_true(fault_fired());
	assert_int_equal(arena_live(), before);
	assert_int_equal(cut((hsm_in){ (uint8_t *)body, strlen(body) }, HSM_NONE), HSM_OK);
	assert_int_equal(arena_live(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blob_is_cut_out_and_the_rest_copied),
		cmocka_unit_test(several_blobs_lie_one_after_another),
		cmocka_unit_test(escapes_are_understood_in_names_and_in_base64),
		cmocka_unit_test(named_members_that_are_no_strings_stay),
		cmocka_unit_test(bad_base64_is_refused_with_its_way),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(depth_has_an_end),
		cmocka_unit_test(no_name_twice_and_no_proto),
		cmocka_unit_test(rooms_are_asked_for_and_kept),
		cmocka_unit_test(base64_goes_there_and_back),
		cmocka_unit_test(utf8_is_checked),
		cmocka_unit_test(secret_text_is_cut_as_it_stands),
		cmocka_unit_test(room_that_runs_out_is_told),
	};

	return cmocka_run_group_tests_name("json", tests, vault_open, vault_close);
}
