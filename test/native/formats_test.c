/* The worked examples of docs/formats, opened by the core. */
#include "vault.h"

#include "mech/hkey.h"
#include "mech/mech.h"
#include "module/attrs.h"
#include "module/code.h"
#include "module/context.h"
#include "module/credential.h"
#include "module/envelope.h"
#include "module/gate.h"
#include "module/root.h"
#include "module/seal.h"
#include "module/session.h"

static struct { char name[32]; uint8_t bytes[1024]; size_t len; } found[32];
static size_t found_n;

static void
take_hex(const char *line)
{
	unsigned byte;

	for (; *line != '\0'; line++) {
		if (strchr(" \n=", *line) != NULL)
			continue;
		assert_int_equal(sscanf(line, "%2x", &byte), 1);
		found[found_n - 1].bytes[found[found_n - 1].len++] = (uint8_t)byte;
		line++;
	}
}

/* `name = hex` in blocks marked example; a line that begins blank goes on. */
static void
read_page(const char *page)
{
	char path[512], line[256];
	bool inside = false;
	FILE *f;

	snprintf(path, sizeof path, "%s/docs/formats/%s.md", SOURCE_DIR, page);
	assert_non_null(f = fopen(path, "r"));
	found_n = 0;
	memset(found, 0, sizeof found);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "```", 3) == 0) {
			inside = strcmp(line, "```example\n") == 0;
		} else if (inside && line[0] != ' ') {
			assert_true(found_n < sizeof found / sizeof *found);
			assert_int_equal(sscanf(line, "%31s", found[found_n++].name), 1);
			take_hex(strchr(line, '='));
		} else if (inside) {
			take_hex(line);
		}
	}
	fclose(f);
	assert_true(found_n > 0);
}

static hsm_in
example(const char *name)
{
	for (size_t i = 0; i < found_n; i++) {
		if (strcmp(found[i].name, name) == 0)
			return (hsm_in){ found[i].bytes, found[i].len };
	}
	fail_msg("no example %s", name);
	return HSM_NONE;
}

static void
assert_example(const char *name, hsm_in bytes)
{
	const hsm_in right = example(name);

	assert_int_equal(bytes.len, right.len);
	assert_memory_equal(bytes.ptr, right.ptr, right.len);
}

static void
sealed_md(void **state)
{
	struct secret kdk, clear;

	(void)state;
	read_page("sealed");
	assert_int_equal(secret_copy(&kdk, example("key")), HSM_OK);
	assert_int_equal(seal_open(&kdk, "object", example("context"), example("sealed"), &clear), HSM_OK);
	assert_example("clear", secret_in(&clear));
	secret_wipe(&kdk);
	secret_wipe(&clear);
}

static void
object_md(void **state)
{
	struct secret kdk, clear;
	struct facts *facts;
	hsm_in material, sealed, value;

	(void)state;
	read_page("object");
	sealed = example("sealed");
	assert_int_equal(sealed.ptr[0], 0);
	assert_int_equal(secret_copy(&kdk, example("key")), HSM_OK);
	assert_int_equal(seal_open(&kdk, "object", example("context"), (hsm_in){ sealed.ptr + 1, sealed.len - 1 }, &clear), HSM_OK);
	assert_example("clear", secret_in(&clear));
	assert_int_equal(object_decode(secret_in(&clear), &facts, &material), HSM_OK);
	assert_example("material", material);
	assert_int_equal(facts->klass, HSM_CLASS_SECRET);
	assert_int_equal(facts->spec.type, HSM_KEY_AES);
	assert_int_equal(facts->spec.param, 256);
	assert_int_equal(facts->use, MECH_ENCRYPT | MECH_DECRYPT);
	assert_true((facts->flags & FACT_PRIVATE) != 0 && (facts->flags & FACT_EXTRACTABLE) == 0);
	assert_true(facts_find(facts, HSM_ATTR_LABEL, &value));
	assert_memory_equal(value.ptr, "example", 7);
	/* Every shorter form is refused. */
	for (size_t len = 0; len < clear.len; len++) {
		struct facts *none;
		hsm_in nothing;

		assert_int_equal(object_decode((hsm_in){ clear.ptr, len }, &none, &nothing), HSM_E_FORMAT);
	}
	facts_free(facts);
	secret_wipe(&kdk);
	secret_wipe(&clear);
}

/* The page's account and access key, under the page's root. */
static void
check_account(void)
{
	const hsm_in account = example("account");
	hsm_session service;
	struct partition *p;
	hsm_part part;
	hsm_key key;
	struct credential *c;

	assert_int_equal(hsm_partition_open(account, example("account_sealed"), &part), HSM_OK);
	assert_int_equal(partition_acquire(part, &p), HSM_OK);
	assert_example("account_key", secret_in(partition_key(p)));
	partition_release(p);
	assert_int_equal(hsm_session_service(&service), HSM_OK);
	assert_int_equal(hsm_credential_open(service, part, example("id"), example("credential"), &key), HSM_OK);
	assert_int_equal(credential_acquire(key, &c), HSM_OK);
	assert_int_equal(credential_principal(c).len, 30);
	assert_memory_equal(credential_principal(c).ptr, "arn:aws:iam::111122223333:root", 30);
	credential_release(c);
	assert_int_equal(hsm_credential_close(service, key), HSM_OK);
	assert_int_equal(hsm_session_close(service), HSM_OK);
	assert_int_equal(hsm_partition_close(part), HSM_OK);
}

static void
root_md(void **state)
{
	const char *file = at("example.key"), *phrase = at("example.phrase");
	hsm_slot held = { .how = HSM_UNSEAL_HELD, .path = file };
	struct root_info info;
	uint32_t have, need;

	(void)state;
	read_page("root");
	write_file(file, example("keyfile").ptr, example("keyfile").len);
	write_file(phrase, example("passphrase").ptr, example("passphrase").len);
	assert_int_equal(hsm_root_open(example("header"), HSM_UNSEAL_KEYFILE, file), HSM_OK);
	root_describe(&info);
	assert_example("root_id", (hsm_in){ info.id, sizeof info.id });
	assert_int_equal(info.mode, HSM_MODE_DEV);
	check_account();
	hsm_root_close();
	assert_int_equal(hsm_root_open(example("passphrase_header"), HSM_UNSEAL_PASSPHRASE, phrase), HSM_OK);
	check_account();
	hsm_root_close();
	assert_int_equal(hsm_share_put(example("shares_header"), IN("unseal"), example("share_3"), &have, &need), HSM_OK);
	assert_int_equal(hsm_share_put(example("shares_header"), IN("unseal"), example("share_1"), &have, &need), HSM_OK);
	check_account();
	hsm_root_close();
	held.answer = example("answer");
	assert_int_equal(hsm_root_open_slot(example("held_header"), &held), HSM_OK);
	check_account();
}

/* Runs after root_md, which leaves the example's root open. */
static void
record_md(void **state)
{
	uint8_t mac[HSM_RECORD_MAC];

	(void)state;
	read_page("record");
	assert_int_equal(example("version").ptr[7], 7);
	assert_int_equal(hsm_record_mac(example("table"), example("key"), 7, example("body"), mac), HSM_OK);
	assert_example("mac", (hsm_in){ mac, sizeof mac });
	assert_int_equal(hsm_record_check(example("table"), example("key"), 7, example("body"), example("mac")), HSM_OK);
	hsm_root_close();
}

static hsm_status
open_envelope(void *arg)
{
	struct envelope *e = arg;
	uint8_t plain[64], canonical[256];
	struct hkey key;

	assert_int_equal(context_write(example("pairs"), canonical), HSM_OK);
	assert_example("context", (hsm_in){ canonical, CONTEXT_LEN(example("pairs").len) });
	assert_int_equal(hkey_make(&key, example("key")), HSM_OK);
	e->key = &key;
	assert_int_equal(envelope_plain_len(e, example("blob").len), example("plain").len);
	assert_int_equal(envelope_open(e, example("pairs"), example("blob"), plain), HSM_OK);
	assert_example("plain", (hsm_in){ plain, example("plain").len });
	return HSM_OK;
}

static void
envelope_md(void **state)
{
	hsm_envelope_name name;
	struct envelope e = { .names_len = 65 };

	(void)state;
	read_page("envelope");
	memcpy(e.names, example("blob").ptr, e.names_len);
	assert_int_equal(gate_run(open_envelope, &e, 0, 16384), HSM_OK);
	assert_int_equal(hsm_envelope_peek(example("blob"), &name), HSM_OK);
	assert_memory_equal(name.account, "111122223333", 12);
	assert_int_equal(name.object_id_len, 36);
	assert_memory_equal(name.object_id, "1234abcd-12ab-34cd-56ef-1234567890ab", 36);
	assert_int_equal(name.material_id_len, 64);
	assert_memory_equal(name.material_id, "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef", 64);
}

/* ---- import.md: the material comes in, and the core's fingerprint is the page's ---- */

struct wrap { hsm_in spki, material; hsm_out *out; };

static hsm_status
run_wrap(void *arg)
{
	const struct wrap *w = arg;
	struct key key;
	hsm_status st;

	if ((st = key_load(&key, HSM_KEY_RSA, PART_PUBLIC, w->spki)) != HSM_OK)
		return st;
	st = mech_find(HSM_RSA_OAEP)->seal(&key, &(hsm_params){ .hash = HSM_SHA256, .mgf = HSM_SHA256 }, w->material, w->out);
	key_unload(&key);
	return st;
}

static void
import_md(void **state)
{
	const char *file = at("import.key");
	uint8_t spki[1024], token[6144], wrapped[512], print[HSM_IMPORT_FINGERPRINT];
	hsm_out spki_out = ROOM(spki), token_out = ROOM(token), wrapped_out = ROOM(wrapped);
	hsm_session service;
	hsm_part part;
	hsm_key key;

	(void)state;
	read_page("root");
	write_file(file, example("keyfile").ptr, example("keyfile").len);
	assert_int_equal(hsm_root_open(example("header"), HSM_UNSEAL_KEYFILE, file), HSM_OK);
	assert_int_equal(hsm_partition_open(example("account"), example("account_sealed"), &part), HSM_OK);
	assert_int_equal(hsm_session_service(&service), HSM_OK);
	read_page("import");
	assert_int_equal(hsm_import_begin(service, part, example("object_id"), HSM_IMPORT_OAEP_SHA256, 2048, 1, &spki_out, &token_out), HSM_OK);
	assert_int_equal(gate_run(run_wrap, &(struct wrap){ { spki, spki_out.len }, example("material"), &wrapped_out }, 200000, 65536), HSM_OK);
	assert_int_equal(hsm_import_finish(service, part, example("object_id"), (hsm_in){ token, token_out.len }, (hsm_in){ wrapped, wrapped_out.len },
	                                   0, (hsm_spec){ HSM_KEY_KDK, 256 }, NULL, 0, print, &key), HSM_OK);
	assert_example("fingerprint", (hsm_in){ print, sizeof print });
	hsm_root_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_md),
		cmocka_unit_test(object_md),
		cmocka_unit_test(root_md),
		cmocka_unit_test(record_md),
		cmocka_unit_test(envelope_md),
		cmocka_unit_test(import_md),
	};

	return cmocka_run_group_tests_name("formats", tests, vault_open, vault_close);
}
