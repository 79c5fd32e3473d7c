#include "vault.h"

#include <sys/stat.h>

#include "base/arena.h"
#include "mech/primitive.h"
#include "module/credential.h"
#include "module/partition.h"

static hsm_session service;
static hsm_part part;

static int
open_account(void **state)
{
	static uint8_t header[512], sealed[256];
	hsm_out root = ROOM(header), out = ROOM(sealed);

	if (vault_open(state) != 0)
		return -1;
	return hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &root) == HSM_OK
	       && hsm_partition_create(IN("123456789012"), &out, &part) == HSM_OK && hsm_session_service(&service) == HSM_OK ? 0 : -1;
}

/* ---- the signing suite ---------------------------------------------------- */

/* From test/vectors/sigv4 (awslabs/aws-c-auth, Apache-2.0); the canonical
 * request without its last line. */
#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define HEADERS "host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n"

static const struct { const char *canonical, *claim, *body, *signature; } suite[] = {
	{ "GET\n/\n\n" HEADERS "\nhost;x-amz-date\n", "", "",
	  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "GET\n/\nParam1=value1&Param2=value2\n" HEADERS "\nhost;x-amz-date\n",
	  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "",
	  "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ "POST\n/\n\ncontent-length:13\ncontent-type:application/x-www-form-urlencoded\nhost:example.amazonaws.com\n"
	  "x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\nx-amz-date:20150830T123600Z\n"
	  "\ncontent-length;content-type;host;x-amz-content-sha256;x-amz-date\n",
	  "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e", "Param1=value1",
	  "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b" },
	{ "GET\n/%E1%88%B4\n\n" HEADERS "\nhost;x-amz-date\n", "", "",
	  "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
};

static hsm_in
text(const char *s)
{
	return (hsm_in){ (const uint8_t *)s, strlen(s) };
}

static hsm_sigv4
request(size_t i)
{
	return (hsm_sigv4){ .date = IN("20150830"), .region = IN("us-east-1"), .service = IN("service"), .timestamp = IN("20150830T123600Z"),
	                    .canonical = text(suite[i].canonical), .payload_hash = text(suite[i].claim), .body = text(suite[i].body),
	                    .signature = text(suite[i].signature), .now_ms = 1440938160000u };
}

static hsm_key
suite_key(uint64_t expires_ms)
{
	uint8_t sealed[512];
	hsm_out out = ROOM(sealed);
	hsm_key key;

	write_file(at("suite"), SUITE_SECRET "\n", sizeof SUITE_SECRET);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIDEXAMPLE"), IN("arn:aws:iam::123456789012:root"), expires_ms,
	                                       HSM_SECRET_FILE, at("suite"), NULL, &out, &key), HSM_OK);
	return key;
}

static void
the_signing_suite_verifies_and_each_changed_byte_does_not(void **state)
{
	const hsm_key key = suite_key(0);
	hsm_session session;
	hsm_role role;

	(void)state;
	for (size_t i = 0; i < sizeof suite / sizeof *suite; i++) {
		hsm_sigv4 r = request(i);
		char canonical[1024], signature[65], body[64];

		for (unsigned twice = 0; twice < 2; twice++) {
			assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_OK);
			assert_int_equal(hsm_session_role(session, &role), HSM_OK);
			assert_int_equal(role, HSM_ROLE_CALLER);
			assert_int_equal(hsm_session_close(session), HSM_OK);
		}
		strcpy(canonical, suite[i].canonical);
		r.canonical = (hsm_in){ (uint8_t *)canonical, strlen(canonical) };
		for (size_t at_byte = 0; at_byte < r.canonical.len; at_byte++) {
			canonical[at_byte] ^= 1;
			assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
			assert_int_equal(session, 0);
			canonical[at_byte] ^= 1;
		}
		strcpy(signature, suite[i].signature);
		r.signature = text(signature);
		for (size_t at_byte = 0; at_byte < 64; at_byte++) {
			const char right = signature[at_byte];

			signature[at_byte] = right == '0' ? '1' : '0';
			assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
			signature[at_byte] = right;
		}
		r.signature = (hsm_in){ (uint8_t *)signature, 63 };
		assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
		r.signature = text(signature);
		strcpy(body, suite[i].body);
		strcat(body, "x");
		r.body = text(body);
		assert_int_equal(hsm_sigv4_verify(key, &r, &session), r.payload_hash.len > 0 ? HSM_E_DATA : HSM_E_SIGNATURE);
	}
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
}

static void
the_scope_is_part_of_what_is_signed(void **state)
{
	const hsm_key key = suite_key(0);
	hsm_session session;
	hsm_sigv4 r;

	(void)state;
	r = request(0);
	r.region = IN("us-east-2");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
	r = request(0);
	r.service = IN("kms");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
	r = request(0);
	r.date = IN("20150831");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
	r = request(0);
	r.timestamp = IN("20150830T123601Z");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
	r = request(0);
	r.region = IN("us-east-1/service");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
	/* more scopes than are remembered, and the first one again */
	r = request(0);
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_OK);
	assert_int_equal(hsm_session_close(session), HSM_OK);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_HANDLE);
	assert_int_equal(hsm_credential_close(service, key), HSM_E_HANDLE);
}

static void
expiry_and_payload_claims(void **state)
{
	const hsm_key key = suite_key(1440938160000u);
	hsm_session session;
	hsm_sigv4 r = request(0);

	(void)state;
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_EXPIRED);
	assert_int_equal(session, 0);
	r.now_ms--;
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_OK);
	assert_int_equal(hsm_session_close(session), HSM_OK);
	r.payload_hash = IN("UNSIGNED-PAYLOAD");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_DATA);
	r.allow_unsigned_payload = true;
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_SIGNATURE);
	r.payload_hash = IN("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
	assert_int_equal(hsm_sigv4_verify(key, &r, &session), HSM_E_DATA);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
}

/* ---- made secrets --------------------------------------------------------- */

/* Sign like a client, to see whether the core knows the secret it showed. */
static void
sign(const char *secret, size_t secret_len, const hsm_sigv4 *r, char signature[65])
{
	uint8_t key[4 + 128], mac[32], digest[32];
	const hsm_in steps[] = { r->date, r->region, r->service, IN("aws4_request") };
	char hex[65], body[65];
	hsm_in parts[2];

	memcpy(key, "AWS4", 4);
	memcpy(key + 4, secret, secret_len);
	assert_int_equal(primitive_hmac(HSM_SHA256, (hsm_in){ key, 4 + secret_len }, &steps[0], 1, mac), HSM_OK);
	for (unsigned i = 1; i < 4; i++) {
		memcpy(key, mac, 32);
		assert_int_equal(primitive_hmac(HSM_SHA256, (hsm_in){ key, 32 }, &steps[i], 1, mac), HSM_OK);
	}
	assert_int_equal(primitive_hash(HSM_SHA256, &r->body, 1, digest), HSM_OK);
	for (unsigned i = 0; i < 32; i++)
		snprintf(body + 2 * i, 3, "%02x", digest[i]);
	parts[0] = r->canonical;
	parts[1] = (hsm_in){ (uint8_t *)body, 64 };
	assert_int_equal(primitive_hash(HSM_SHA256, parts, 2, digest), HSM_OK);
	for (unsigned i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	{
		char to_sign[512];
		const int n = snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%.*s\n%.*s/%.*s/%.*s/aws4_request\n%s", (int)r->timestamp.len,
		                       r->timestamp.ptr, (int)r->date.len, r->date.ptr, (int)r->region.len, r->region.ptr,
		                       (int)r->service.len, r->service.ptr, hex);
		const hsm_in whole = { (uint8_t *)to_sign, (size_t)n };

		memcpy(key, mac, 32);
		assert_int_equal(primitive_hmac(HSM_SHA256, (hsm_in){ key, 32 }, &whole, 1, mac), HSM_OK);
	}
	for (unsigned i = 0; i < 32; i++)
		snprintf(signature + 2 * i, 3, "%02x", mac[i]);
}

static hsm_status
verify_with(hsm_key key, const char *secret, size_t len, const char *region)
{
	char signature[65];
	hsm_sigv4 r = request(0);
	hsm_session session;
	hsm_status st;

	r.region = text(region);
	sign(secret, len, &r, signature);
	r.signature = text(signature);
	if ((st = hsm_sigv4_verify(key, &r, &session)) == HSM_OK)
		assert_int_equal(hsm_session_close(session), HSM_OK);
	return st;
}

static void
a_made_secret_is_shown_once_and_sealed(void **state)
{
	uint8_t shown[64], sealed[512], flipped[512];
	hsm_out show = ROOM(shown), seal = ROOM(sealed);
	hsm_key key, again;

	(void)state;
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAMADE"), IN("arn:aws:iam::123456789012:user/a"), 0, HSM_SECRET_MADE, NULL,
	                                       &show, &seal, &key), HSM_OK);
	assert_int_equal(show.len, 40);
	for (size_t i = 0; i < show.len; i++)
		assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", shown[i]));
	assert_int_equal(verify_with(key, (char *)shown, 40, "us-east-1"), HSM_OK);
	assert_int_equal(hsm_credential_write(service, key, at("credentials"), "default"), HSM_E_POLICY);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);

	assert_int_equal(hsm_credential_open(service, part, IN("AKIAMADE"), (hsm_in){ sealed, seal.len }, &again), HSM_OK);
	assert_int_equal(verify_with(again, (char *)shown, 40, "us-east-1"), HSM_OK);
	for (unsigned i = 0; i < 9; i++) {
		char region[16];

		snprintf(region, sizeof region, "region-%u", i % 6);
		assert_int_equal(verify_with(again, (char *)shown, 40, region), HSM_OK);
	}
	shown[39] ^= 1;
	assert_int_equal(verify_with(again, (char *)shown, 40, "us-east-1"), HSM_E_SIGNATURE);
	assert_int_equal(hsm_credential_write(service, again, at("credentials"), "default"), HSM_E_POLICY);
	assert_int_equal(hsm_credential_close(service, again), HSM_OK);

	assert_int_equal(hsm_credential_open(service, part, IN("AKIAMADF"), (hsm_in){ sealed, seal.len }, &again), HSM_E_INTEGRITY);
	for (size_t bit = 0; bit < seal.len * 8; bit++) {
		memcpy(flipped, sealed, seal.len);
		flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(hsm_credential_open(service, part, IN("AKIAMADE"), (hsm_in){ flipped, seal.len }, &again), HSM_OK);
		assert_int_equal(again, 0);
	}
}

/* As long as external key stores ask for: 43 to 64 characters. */
static void
a_made_secret_may_be_longer(void **state)
{
	uint8_t shown[64], sealed[512];
	hsm_out show = { NULL, 0, 0 }, seal = ROOM(sealed);
	hsm_key key;

	(void)state;
	assert_int_equal(hsm_credential_create(service, part, IN("XKSALONG"), IN("p"), 0, HSM_SECRET_MADE_LONG, NULL, &show, &seal, &key), HSM_OK);
	assert_int_equal(show.len, 48);
	show = ROOM(shown);
	seal = ROOM(sealed);
	assert_int_equal(hsm_credential_create(service, part, IN("XKSALONG"), IN("p"), 0, HSM_SECRET_MADE_LONG, NULL, &show, &seal, &key), HSM_OK);
	assert_int_equal(show.len, 48);
	assert_int_equal(verify_with(key, (char *)shown, 48, "us-east-1"), HSM_OK);
	assert_int_equal(verify_with(key, (char *)shown, 40, "us-east-1"), HSM_E_SIGNATURE);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
}

static void
rooms_are_asked_for(void **state)
{
	uint8_t sealed[512], tiny[8];
	hsm_out show = { NULL, 0, 0 }, seal = { NULL, 0, 0 };
	hsm_key key;

	(void)state;
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAASK"), IN("p"), 0, HSM_SECRET_MADE, NULL, &show, &seal, &key), HSM_OK);
	assert_int_equal(show.len, 40);
	assert_true(seal.len > 40 && seal.len < 512);
	assert_int_equal(key, 0);
	show = ROOM(tiny);
	seal = ROOM(sealed);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAASK"), IN("p"), 0, HSM_SECRET_MADE, NULL, &show, &seal, &key), HSM_E_BUFFER);
	assert_int_equal(show.len, 40);
	assert_int_equal(key, 0);
}

static void
who_may(void **state)
{
	uint8_t sealed[512];
	hsm_out seal = ROOM(sealed);
	hsm_session local;
	hsm_part own;
	hsm_key key;

	(void)state;
	assert_int_equal(hsm_partition_ephemeral(IN("local"), &own), HSM_OK);
	assert_int_equal(hsm_session_open(own, HSM_SESSION_RW, &local), HSM_OK);
	assert_int_equal(hsm_credential_create(local, own, IN("AKIA"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &seal, &key), HSM_E_ROLE);
	assert_int_equal(hsm_credential_create(0, own, IN("AKIA"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &seal, &key), HSM_E_SESSION);
	assert_int_equal(hsm_credential_create(service, own + 1, IN("AKIA"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &seal, &key), HSM_E_PARTITION);
	assert_int_equal(hsm_credential_create(service, own, IN("A B"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &seal, &key), HSM_E_ARGS);
	assert_int_equal(hsm_credential_create(service, own, IN("AKIA"), IN("p"), 0, HSM_SECRET_FILE, NULL, NULL, &seal, &key), HSM_E_ARGS);
	assert_int_equal(hsm_credential_create(service, own, IN("AKIA"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &seal, &key), HSM_OK);
	assert_int_equal(hsm_credential_close(local, key), HSM_E_ROLE);
	/* no other call takes the handle */
	assert_int_equal(hsm_destroy(service, key), HSM_E_HANDLE);
	/* a partition that closes takes its access keys along */
	assert_int_equal(hsm_partition_close(own), HSM_OK);
	assert_int_equal(hsm_credential_close(service, key), HSM_E_HANDLE);
}

/* ---- secrets from outside, and the file ----------------------------------- */

static void
secrets_from_the_environment_and_from_files(void **state)
{
	uint8_t shown[64], sealed[512];
	hsm_out show = ROOM(shown), seal = ROOM(sealed);
	hsm_key key;

	(void)state;
	setenv("VAULT_TEST_SECRET", "test", 1);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAENV"), IN("p"), 0, HSM_SECRET_ENV, "VAULT_TEST_SECRET", &show, &seal, &key), HSM_OK);
	assert_int_equal(show.len, 4);
	assert_memory_equal(shown, "test", 4);
	assert_int_equal(verify_with(key, "test", 4, "us-east-1"), HSM_OK);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
	unsetenv("VAULT_TEST_SECRET");
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAENV"), IN("p"), 0, HSM_SECRET_ENV, "VAULT_TEST_SECRET", NULL, &seal, &key), HSM_E_IO);
	write_file(at("bad"), "with blank\n", 11);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAENV"), IN("p"), 0, HSM_SECRET_FILE, at("bad"), NULL, &seal, &key), HSM_E_KEY_VALUE);
	write_file(at("bad"), "\n", 1);
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAENV"), IN("p"), 0, HSM_SECRET_FILE, at("bad"), NULL, &seal, &key), HSM_E_KEY_SIZE);
	{
		char long_secret[200];

		memset(long_secret, 'a', sizeof long_secret);
		write_file(at("bad"), long_secret, sizeof long_secret);
	}
	assert_int_equal(hsm_credential_create(service, part, IN("AKIAENV"), IN("p"), 0, HSM_SECRET_FILE, at("bad"), NULL, &seal, &key), HSM_E_KEY_SIZE);
}

static void
write_and_read(const char *path, const char *profile, char *content, size_t cap, char secret[41])
{
	uint8_t sealed[512];
	hsm_out seal = ROOM(sealed);
	hsm_key key;
	struct stat s;
	const char *found;
	char start[128];
	int start_len;

	assert_int_equal(hsm_credential_create(service, part, IN("AKIAFILE"), IN("p"), 0, HSM_SECRET_MADE, NULL, NULL, &seal, &key), HSM_OK);
	assert_int_equal(hsm_credential_write(service, key, path, profile), HSM_OK);
	assert_int_equal(hsm_credential_write(service, key, path, profile), HSM_E_POLICY);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	content[read_file(path, content, cap - 1)] = '\0';
	start_len = snprintf(start, sizeof start, "[%s]\naws_access_key_id = AKIAFILE\naws_secret_access_key = ", profile);
	found = strstr(content, start);
	assert_non_null(found);
	memcpy(secret, found + start_len, 40);
	secret[40] = '\0';
	assert_int_equal(verify_with(key, secret, 40, "us-east-1"), HSM_OK);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
}

static void
a_credentials_file_keeps_what_others_wrote(void **state)
{
	static const char before[] = "# mine\n[default]\naws_access_key_id = OLD\nregion = x\naws_secret_access_key=OLDSECRET\n"
	                             "aws_session_token = OLDTOKEN\n\n[ other ]\naws_access_key_id=KEEP";
	const char *path = at("aws");
	char content[2048], secret[41], want[2048];

	(void)state;
	write_and_read(path, "default", content, sizeof content, secret);
	snprintf(want, sizeof want, "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = %s\n", secret);
	assert_string_equal(content, want);

	write_file(path, before, sizeof before - 1);
	write_and_read(path, "default", content, sizeof content, secret);
	snprintf(want, sizeof want, "# mine\n[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = %s\nregion = x\n\n[ other ]\naws_access_key_id=KEEP", secret);
	assert_string_equal(content, want);

	write_and_read(path, "third", content, sizeof content, secret);
	assert_non_null(strstr(content, "[ other ]\naws_access_key_id=KEEP\n\n[third]\naws_access_key_id = AKIAFILE\n"));
	assert_int_equal(system("test $(ls /tmp/vault.*/aws* | wc -l) = 1"), 0);
}

static void
room_that_runs_out_leaves_nothing_behind(void **state)
{
	uint8_t sealed[512], shown[64];
	hsm_out seal, show;
	hsm_key key;
	const size_t before = arena_live();

	(void)state;
	for (unsigned n = 0;; n++) {
		hsm_status st;

		seal = ROOM(sealed);
		show = ROOM(shown);
		fault_after(n);
		st = hsm_credential_create(service, part, IN("AKIAFAULT"), IN("p"), 0, HSM_SECRET_MADE, NULL, &show, &seal, &key);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			assert_true(n > 0);
			break;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(key, 0);
		assert_int_equal(show.len, 0);
		assert_int_equal(seal.len, 0);
		assert_int_equal(arena_live(), before);
	}
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
	for (unsigned n = 0;; n++) {
		hsm_status st;

		fault_after(n);
		st = hsm_credential_open(service, part, IN("AKIAFAULT"), (hsm_in){ sealed, seal.len }, &key);
		fault_off();
		if (!fault_fired()) {
			assert_int_equal(st, HSM_OK);
			break;
		}
		assert_int_equal(st, HSM_E_MEMORY);
		assert_int_equal(arena_live(), before);
	}
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
	assert_int_equal(arena_live(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_signing_suite_verifies_and_each_changed_byte_does_not),
		cmocka_unit_test(the_scope_is_part_of_what_is_signed),
		cmocka_unit_test(expiry_and_payload_claims),
		cmocka_unit_test(a_made_secret_is_shown_once_and_sealed),
		cmocka_unit_test(a_made_secret_may_be_longer),
		cmocka_unit_test(rooms_are_asked_for),
		cmocka_unit_test(who_may),
		cmocka_unit_test(secrets_from_the_environment_and_from_files),
		cmocka_unit_test(a_credentials_file_keeps_what_others_wrote),
		cmocka_unit_test(room_that_runs_out_leaves_nothing_behind),
	};

	return cmocka_run_group_tests_name("credential", tests, open_account, vault_close);
}
