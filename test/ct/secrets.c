/* secrets.c - secrets are marked undefined, and valgrind says where a branch or
 * an address depends on one (the way of ctgrind). Every use of every mechanism,
 * every kind of key; then what the core does with secrets beside them.
 *
 * Run by scripts/ct.mjs, which reads valgrind's report: what it says between
 * two "== case" lines is that case's. A complaint whose first frame lies in our
 * own code is a leak; those in AWS-LC are its authors' (key generation, checks
 * of imported keys and rejection sampling branch on purpose), and counted.
 *
 * Cases called "control …" leak on purpose, and must be found. */
#include "../native/mech_rows.h"

#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>

/* Files whose inner functions are wanted: with a hidden key the library's half
 * of a PKCS#1 v1.5 decryption would drown ours, and a credential's secret comes
 * from its file alone. */
#include "mech/rsa_raw.c"
#define text sigv4_text
#include "module/sigv4.c"
#undef text

#include "module/hsm.h"
#include "module/shamir.h"
#include "module/text.h"

#define hide(at, len) VALGRIND_MAKE_MEM_UNDEFINED(at, len)
#define show(at, len) VALGRIND_MAKE_MEM_DEFINED(at, len)

static void
case_begin(const char *name)
{
	VALGRIND_PRINTF("== case %s\n", name);
}

/* The secret in a key's material. Private keys are DER (PKCS#8), whose shape and
 * public half show. */
static void
hide_key(const struct secret *material, hsm_spec spec)
{
	CBS whole, info, octets, key, part;
	uint64_t version;

	CBS_init(&whole, material->ptr, material->len);
	if (!CBS_get_asn1(&whole, &info, CBS_ASN1_SEQUENCE) || CBS_len(&whole) != 0 || !CBS_get_asn1_uint64(&info, &version)
	    || !CBS_get_asn1(&info, &part, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&info, &octets, CBS_ASN1_OCTETSTRING)) {
		hide(material->ptr, material->len);
		return;
	}
	switch (spec.type) {
	case HSM_KEY_RSA:
		assert_true(CBS_get_asn1(&octets, &key, CBS_ASN1_SEQUENCE));
		for (unsigned i = 0; CBS_get_asn1(&key, &part, CBS_ASN1_INTEGER); i++) {
			if (i >= 3)     /* after the version, n and e; the first bytes tell the sign */
				hide(CBS_data(&part) + 2, CBS_len(&part) - 2);
		}
		break;
	case HSM_KEY_EC:
		assert_true(CBS_get_asn1(&octets, &key, CBS_ASN1_SEQUENCE) && CBS_get_asn1_uint64(&key, &version)
		            && CBS_get_asn1(&key, &part, CBS_ASN1_OCTETSTRING));
		hide(CBS_data(&part), CBS_len(&part));
		break;
	default:                        /* a seed, with a tag and a length before it */
		assert_true(CBS_len(&octets) > 32);
		hide(CBS_data(&octets) + 2, CBS_len(&octets) - 2);
	}
}

/* ---- mechanisms ----------------------------------------------------------------- */

/* What comes out of one use and goes into the next is public: ciphertext,
 * signatures, public keys. */
static void
use_seen(struct row_job *j, void *arg)
{
	(void)arg;
	if (j->out.ptr != NULL)
		show(j->out.ptr, j->out.cap);
}

static void
mechanisms(void **state)
{
	(void)state;
	for (size_t s = 0; s < SPECS; s++) {
		struct kind_job job = { kind_find(specs[s].type), specs[s], &pairs[s] };
		const struct mech *row;
		char name[64];

		if (left_out(specs[s]))
			continue;
		key_unload(&pairs[s].key);
		hide_key(&pairs[s].material, specs[s]);
		snprintf(name, sizeof name, "load %s %u", job.kind->name, specs[s].param);
		case_begin(name);
		assert_status(job_load(&job), HSM_OK);
		for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
			if (!row_takes(row, specs[s]))
				continue;
			snprintf(name, sizeof name, "%s with %s %u", row->name, job.kind->name, specs[s].param);
			case_begin(name);
			row_uses(row, &pairs[s], use_seen, NULL);
		}
	}
}

/* ---- paddings --------------------------------------------------------------------- */

static void
pkcs1_padding(void **state)
{
	uint8_t em[256], made[256];
	size_t len;

	(void)state;
	case_begin("choosing between a PKCS#1 v1.5 message and a made-up one");
	for (unsigned zero = 0; zero < 40; zero++) {
		memset(em, 0x11, sizeof em);
		memset(made, 0x22, sizeof made);
		em[0] = 0;
		em[1] = 2;
		em[zero] = 0;
		hide(em, sizeof em);
		hide(made, sizeof made);
		len = message_choose(em, made, 17, sizeof em);
		show(&len, sizeof len);
		assert_true(len < sizeof em);
	}
}

/* Padding right and wrong, under a key that is hidden. */
static void
cbc_padding(void **state)
{
	static struct bytes out;
	const struct mech *row = mech_find(HSM_AES_CBC_PAD);
	uint8_t bytes[16] = { 7 }, blob[32], iv[16] = { 0 };
	hsm_params params = { .iv = { iv, 16 } };
	struct key key;
	hsm_out to;
	hsm_status st;

	(void)state;
	hide(bytes, sizeof bytes);
	key = key_of(HSM_KEY_AES, PART_SECRET, (hsm_in){ bytes, 16 });
	case_begin("CBC padding");
	for (unsigned i = 0; i < 40; i++) {
		memset(blob, (int)i, sizeof blob);
		to = room(&out);
		st = row->open(&key, &params, (hsm_in){ blob, sizeof blob }, &to);
		assert_true(st == HSM_OK || st == HSM_E_CIPHERTEXT);
	}
	key_unload(&key);
}

/* ---- bytes and text --------------------------------------------------------------- */

static void
compare(void **state)
{
	uint8_t a[48], b[48];

	(void)state;
	case_begin("comparing secrets");
	for (unsigned differ = 0; differ <= 48; differ++) {
		memset(a, 5, sizeof a);
		memset(b, 5, sizeof b);
		if (differ < 48)
			b[differ] ^= 0x80;
		hide(a, sizeof a);
		hide(b, sizeof b);
		assert_int_equal(bytes_equal_secret(a, b, sizeof a), differ == 48);
	}
}

static void
base64(void **state)
{
	uint8_t secret[100], text[BASE64_LEN(100)];
	hsm_out out;

	(void)state;
	case_begin("base64 of a secret");
	for (size_t len = 0; len <= sizeof secret; len++) {
		memset(secret, (int)len, sizeof secret);
		hide(secret, sizeof secret);
		out = (hsm_out){ text, sizeof text, 0 };
		assert_status(hsm_base64((hsm_in){ secret, len }, &out), HSM_OK);
	}
}

/* A request's body, the blob in it hidden. Its length shows, and that it is a blob. */
static void
json(void **state)
{
	static const char start[] = "{\"KeyId\":\"k\",\"Plaintext\":\"", end[] = "\",\"DryRun\":false}";
	static const uint8_t names[] = "\0\011Plaintext";
	uint8_t body[256], rest[256], blobs[256];
	hsm_out json_out, blobs_out;
	hsm_span spans[4];
	char where[64];

	(void)state;
	case_begin("a request's secret from base64");
	for (size_t chars = 4; chars <= 160; chars += 4) {
		size_t n = 4, len = 0;

		memcpy(body, start, sizeof start - 1);
		len = sizeof start - 1;
		memset(body + len, 'Q', chars);
		hide(body + len, chars - 2);            /* where it is padded shows in its length */
		len += chars;
		memcpy(body + len, end, sizeof end - 1);
		len += sizeof end - 1;
		json_out = (hsm_out){ rest, sizeof rest, 0 };
		blobs_out = (hsm_out){ blobs, sizeof blobs, 0 };
		assert_status(hsm_json_cut((hsm_in){ body, len }, (hsm_in){ names, sizeof names - 1 }, &json_out, &blobs_out, spans, &n, where), HSM_OK);
		assert_int_equal(n, 1);
		assert_int_equal(spans[0].len, chars / 4 * 3);
	}
}

/* ---- PINs, signatures, envelopes ---------------------------------------------------- */

static void
pins(void **state)
{
	static const uint8_t right[] = "correct horse", wrong[] = "correct h0rse";
	uint8_t set[13], given[13];
	hsm_session session;
	hsm_part part;

	(void)state;
	assert_status(hsm_partition_ephemeral(text("pins"), &part), HSM_OK);
	assert_status(hsm_session_open(part, HSM_SESSION_RW, &session), HSM_OK);
	memcpy(set, right, 13);
	hide(set, sizeof set);
	case_begin("setting a PIN");
	assert_status(hsm_pin_set(session, HSM_ROLE_USER, (hsm_in){ set, 13 }), HSM_OK);
	assert_status(hsm_logout(session), HSM_OK);
	case_begin("checking a PIN");
	memcpy(given, wrong, 13);
	hide(given, sizeof given);
	assert_status(hsm_login(session, HSM_ROLE_USER, (hsm_in){ given, 13 }), HSM_E_PIN);
	memcpy(given, right, 13);
	hide(given, sizeof given);
	assert_status(hsm_login(session, HSM_ROLE_USER, (hsm_in){ given, 13 }), HSM_OK);
	assert_status(hsm_session_close(session), HSM_OK);
	assert_status(hsm_partition_close(part), HSM_OK);
}

static void
token_pins(void **state)
{
	static uint8_t header[HSM_TOKEN_HEADER_MAX];
	uint8_t so[8] = "officer", given[8] = "officer";
	char folder[] = "/tmp/ct.XXXXXX", command[64];
	hsm_out out = { header, sizeof header, 0 };
	hsm_session session;
	hsm_part part;

	(void)state;
	assert_non_null(mkdtemp(folder));
	hide(so, 7);
	hide(given, 7);
	case_begin("making a token");
	assert_status(hsm_token_create(folder, (hsm_in){ so, 7 }, false, &out, &part), HSM_OK);
	assert_status(hsm_session_open(part, HSM_SESSION_RW, &session), HSM_OK);
	case_begin("the login of a token's officer");
	assert_status(hsm_login(session, HSM_ROLE_OFFICER, (hsm_in){ given, 7 }), HSM_OK);
	assert_status(hsm_session_close(session), HSM_OK);
	assert_status(hsm_partition_close(part), HSM_OK);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

/* An access key's secret into the signing key, and a signature against it. */
static void
sigv4(void **state)
{
	uint8_t secret[44] = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
	hsm_sigv4 request = { .date = text("20150830"), .region = text("us-east-1"), .service = text("service"),
		.timestamp = text("20150830T123600Z"), .canonical = text("GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n"
		"host;x-amz-date\n"), .signature = text("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31") };
	struct hkey first, key;

	(void)state;
	hide(secret, sizeof secret);
	case_begin("SigV4: from the secret to the signing key");
	assert_status(hkey_make(&first, (hsm_in){ secret, sizeof secret }), HSM_OK);
	assert_status(sigv4_derive(&first, &request, &key), HSM_OK);
	case_begin("SigV4: comparing signatures");
	assert_status(signature_check(&key, &request), HSM_OK);
	request.signature = text("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf30");
	assert_status(signature_check(&key, &request), HSM_E_SIGNATURE);
}

static void
shares(void **state)
{
	static const uint8_t xs[3] = { 1, 3, 5 };
	uint8_t secret[SHAMIR_LEN], parts[5][SHAMIR_LEN], again[SHAMIR_LEN];

	(void)state;
	memset(secret, 0x5c, sizeof secret);
	hide(secret, sizeof secret);
	case_begin("splitting a secret into shares");
	assert_status(shamir_split(secret, 3, 5, parts), HSM_OK);
	memcpy(parts[1], parts[2], SHAMIR_LEN);
	memcpy(parts[2], parts[4], SHAMIR_LEN);
	case_begin("joining shares");
	shamir_join(xs, (const uint8_t (*)[SHAMIR_LEN])parts, 3, again);
	show(secret, sizeof secret);
	show(again, sizeof again);
	assert_memory_equal(secret, again, sizeof secret);
}

/* ---- controls ------------------------------------------------------------------------ */

static __attribute__((noinline)) bool
control_compare(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (a[i] != b[i])
			return false;
	}
	return true;
}

static __attribute__((noinline)) unsigned
control_padding(const uint8_t block[16])
{
	const unsigned n = block[15];

	for (unsigned i = 0; n <= 16 && i < n; i++) {
		if (block[15 - i] != n)
			return 0;
	}
	return n;
}

static __attribute__((noinline)) uint8_t
control_letter(uint8_t sextet)
{
	static const uint8_t letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return letters[sextet & 63];
}

static __attribute__((noinline)) size_t
control_square(const uint8_t *exponent, size_t len)
{
	volatile size_t value = 1;

	for (size_t i = 0; i < len * 8; i++) {
		value = value * value;
		if ((exponent[i / 8] >> i % 8 & 1) != 0)
			value = value * 3;
	}
	return value;
}

static void
controls(void **state)
{
	static volatile size_t sink;
	uint8_t a[16] = { 0 }, b[16] = { 0 };

	(void)state;
	hide(a, sizeof a);
	case_begin("control: a comparison that ends at the first difference");
	sink += control_compare(a, b, sizeof a);
	case_begin("control: padding looked at byte by byte");
	sink += control_padding(a);
	case_begin("control: base64 by a table");
	sink += control_letter(a[0]);
	case_begin("control: multiplying where a bit is set");
	sink += control_square(a, sizeof a);
	case_begin("the end");
}

static int
power_on(void **state)
{
	(void)state;
	return hsm_open(&(hsm_config){ .arena_size = 8u << 20 }) == HSM_OK && pairs_setup(state) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(controls), cmocka_unit_test(compare), cmocka_unit_test(base64), cmocka_unit_test(json),
		cmocka_unit_test(pkcs1_padding), cmocka_unit_test(cbc_padding), cmocka_unit_test(pins),
		cmocka_unit_test(token_pins), cmocka_unit_test(sigv4), cmocka_unit_test(shares), cmocka_unit_test(mechanisms),
	};

	return cmocka_run_group_tests(tests, power_on, NULL);
}
