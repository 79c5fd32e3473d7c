/* Key material from outside, and plaintext for an attested recipient. */
#include "vault.h"

#include "base/arena.h"
#include "base/secret.h"
#include "mech/mech.h"
#include "module/gate.h"
#include "module/session.h"

#define UUID "1234abcd-12ab-34cd-56ef-1234567890ab"
#define OTHER "1234abcd-12ab-34cd-56ef-1234567890ac"
#define MATERIAL "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KDK ((hsm_spec){ HSM_KEY_KDK, 256 })

static hsm_session service, caller;
static hsm_part part, other_part;
static uint8_t rsa_priv[4096], rsa_spki[1024];
static size_t rsa_priv_len, rsa_spki_len;

/* ---- rows, as a client would call another library ------------------------- */

struct work { uint32_t type; enum key_part part; hsm_in key; hsm_mech mech; hsm_params params; hsm_in in; hsm_out *out; bool open; };

static hsm_status
run_work(void *arg)
{
	const struct work *w = arg;
	const struct mech *row = mech_find(w->mech);
	struct key key;
	hsm_status st;

	if ((st = key_load(&key, w->type, w->part, w->key)) != HSM_OK)
		return st;
	st = w->open ? row->open(&key, &w->params, w->in, w->out) : row->seal(&key, &w->params, w->in, w->out);
	key_unload(&key);
	return st;
}

static hsm_status
work(struct work w)
{
	return gate_run(run_work, &w, 200000, 65536);
}

static hsm_in
wrap(hsm_in spki, hsm_import_wrap how, hsm_in material, uint8_t *room)
{
	const bool hybrid = how == HSM_IMPORT_AES_KEY_WRAP_SHA1 || how == HSM_IMPORT_AES_KEY_WRAP_SHA256;
	const hsm_hash hash = how == HSM_IMPORT_OAEP_SHA1 || how == HSM_IMPORT_AES_KEY_WRAP_SHA1 ? HSM_SHA1 : HSM_SHA256;
	hsm_out out = { room, 8192, 0 };

	assert_int_equal(work((struct work){ HSM_KEY_RSA, PART_PUBLIC, spki, hybrid ? HSM_RSA_AES_KEY_WRAP : HSM_RSA_OAEP,
	                                     { .hash = hash, .mgf = hash, .wrap_bits = 256 }, material, &out, false }), HSM_OK);
	return (hsm_in){ room, out.len };
}

struct pair_of { hsm_spec spec; struct secret priv, pub; };

static hsm_status
run_pair(void *arg)
{
	struct pair_of *p = arg;

	return kind_find(p->spec.type)->generate(p->spec, &(hsm_params){ 0 }, &p->priv, &p->pub);
}

static void
make_pair(hsm_spec spec, uint8_t *priv, size_t *priv_len, uint8_t *spki, size_t *spki_len)
{
	struct pair_of p = { .spec = spec };

	assert_int_equal(gate_run(run_pair, &p, 200000, 131072), HSM_OK);
	memcpy(priv, p.priv.ptr, *priv_len = p.priv.len);
	memcpy(spki, p.pub.ptr, *spki_len = p.pub.len);
	secret_wipe(&p.priv);
	secret_wipe(&p.pub);
}

static int
open_accounts(void **state)
{
	static uint8_t header[512], sealed[256];
	hsm_out root = ROOM(header), out = ROOM(sealed);
	struct partition *p;

	if (vault_open(state) != 0 || hsm_root_create(HSM_MODE_DEV, HSM_UNSEAL_KEYFILE, at("root.key"), &root) != HSM_OK
	    || hsm_partition_create(IN("111111111111"), &out, &part) != HSM_OK
	    || hsm_partition_create(IN("222222222222"), &out, &other_part) != HSM_OK || hsm_session_service(&service) != HSM_OK
	    || partition_acquire(part, &p) != HSM_OK || session_make(p, HSM_ROLE_CALLER, 0, IN("p"), &caller) != HSM_OK)
		return -1;
	partition_release(p);
	make_pair((hsm_spec){ HSM_KEY_RSA, 2048 }, rsa_priv, &rsa_priv_len, rsa_spki, &rsa_spki_len);
	return 0;
}

/* ---- import --------------------------------------------------------------- */

static uint8_t wrapped[8192];
static hsm_in spki_in, token_in;

/* A token a way of wrapping: RSA pairs take their time, under valgrind most
 * of all. */
static void
begin(hsm_import_wrap how)
{
	static struct { uint8_t spki[1024], token[6144]; size_t spki_len, token_len; } made[4];

	if (made[how].token_len == 0) {
		hsm_out s = ROOM(made[how].spki), t = ROOM(made[how].token);

		assert_int_equal(hsm_import_begin(service, part, IN(UUID), how, 2048, 1000, &s, &t), HSM_OK);
		assert_true(s.len > 256 && t.len > 1000);
		made[how].spki_len = s.len;
		made[how].token_len = t.len;
	}
	spki_in = (hsm_in){ made[how].spki, made[how].spki_len };
	token_in = (hsm_in){ made[how].token, made[how].token_len };
}

static bool
slow(void)
{
	return getenv("STRONGROOM_SLOW") != NULL;
}

static hsm_status
finish(hsm_in material, hsm_import_wrap how, hsm_spec spec, uint8_t print[32], hsm_key *key)
{
	return hsm_import_finish(service, part, IN(UUID), token_in, wrap(spki_in, how, material, wrapped), 999, spec, NULL, 0, print, key);
}

static void
symmetric_material_comes_in_and_works(void **state)
{
	static const hsm_import_wrap ways[] = { HSM_IMPORT_OAEP_SHA1, HSM_IMPORT_OAEP_SHA256, HSM_IMPORT_AES_KEY_WRAP_SHA1, HSM_IMPORT_AES_KEY_WRAP_SHA256 };
	const hsm_in material = IN("thirty-two bytes of somebody's k"), almost = IN("thirty-two bytes of somebody's l");
	uint8_t first[32], print[32], sealed[1024], blob[256], plain[64];
	hsm_key key, from_first = 0;
	bool had_first = false;

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		if (slow() && ways[i] != HSM_IMPORT_OAEP_SHA256 && ways[i] != HSM_IMPORT_AES_KEY_WRAP_SHA256)
			continue;
		begin(ways[i]);
		assert_int_equal(finish(material, ways[i], KDK, print, &key), HSM_OK);
		if (!had_first) {
			memcpy(first, print, 32);
			from_first = key;
			had_first = true;
		}
		assert_memory_equal(print, first, 32);
		/* what one import sealed the next one opens: it is the same key */
		{
			hsm_out object = ROOM(sealed), out = ROOM(blob), back = ROOM(plain);

			assert_int_equal(hsm_object_seal(service, key, (hsm_binding){ IN(UUID), IN(MATERIAL) }, &object), HSM_OK);
			assert_int_equal(hsm_envelope_seal(caller, key, HSM_NONE, IN("hello"), &out), HSM_OK);
			assert_int_equal(hsm_envelope_open(caller, from_first, HSM_NONE, (hsm_in){ blob, out.len }, &back), HSM_OK);
			assert_memory_equal(plain, "hello", 5);
		}
		assert_int_equal(finish(almost, ways[i], KDK, print, &key), HSM_OK);
		assert_memory_not_equal(print, first, 32);
	}
	/* the fingerprint is of the object, the spec and the account */
	begin(HSM_IMPORT_AES_KEY_WRAP_SHA256);
	assert_int_equal(finish(material, HSM_IMPORT_AES_KEY_WRAP_SHA256, (hsm_spec){ HSM_KEY_GENERIC, 256 }, print, &key), HSM_OK);
	assert_memory_not_equal(print, first, 32);
}

static void
material_must_be_of_its_spec(void **state)
{
	uint8_t print[32];
	hsm_key key;

	(void)state;
	begin(HSM_IMPORT_OAEP_SHA256);
	assert_int_equal(finish(IN("sixteen bytes!!!"), HSM_IMPORT_OAEP_SHA256, KDK, print, &key), HSM_E_KEY_SIZE);
	assert_int_equal(key, 0);
	assert_int_equal(finish(IN("sixteen bytes!!!"), HSM_IMPORT_OAEP_SHA256, (hsm_spec){ HSM_KEY_GENERIC, 384 }, print, &key), HSM_E_KEY_SIZE);
	assert_int_equal(finish(IN("twenty-eight bytes of a MAC."), HSM_IMPORT_OAEP_SHA256, (hsm_spec){ HSM_KEY_GENERIC, 224 }, print, &key), HSM_OK);
	assert_int_not_equal(finish(IN("not a PKCS#8 structure"), HSM_IMPORT_OAEP_SHA256, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, print, &key), HSM_OK);
	assert_int_equal(finish(IN("x"), HSM_IMPORT_OAEP_SHA256, (hsm_spec){ 0x7777, 1 }, print, &key), HSM_E_KEY_TYPE);
}

static void
private_keys_come_in(void **state)
{
	static const hsm_spec specs[] = { { HSM_KEY_EC, HSM_P256 }, { HSM_KEY_EC, HSM_P384 }, { HSM_KEY_RSA, 2048 }, { HSM_KEY_EDWARDS, HSM_ED25519 } };
	uint8_t priv[4096], pub[1024], out_spki[1024], print[32], again[32];
	size_t priv_len, pub_len;
	hsm_key key;

	(void)state;
	begin(HSM_IMPORT_AES_KEY_WRAP_SHA256);
	for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
		hsm_out out = ROOM(out_spki);

		if (slow() && specs[i].type == HSM_KEY_RSA)
			continue;
		make_pair(specs[i], priv, &priv_len, pub, &pub_len);
		assert_int_equal(finish((hsm_in){ priv, priv_len }, HSM_IMPORT_AES_KEY_WRAP_SHA256, specs[i], print, &key), HSM_OK);
		assert_int_equal(hsm_public_key(service, key, &out), HSM_OK);
		assert_int_equal(out.len, pub_len);
		assert_memory_equal(out_spki, pub, pub_len);
		assert_int_equal(finish((hsm_in){ priv, priv_len }, HSM_IMPORT_AES_KEY_WRAP_SHA256, specs[i], again, &key), HSM_OK);
		assert_memory_equal(print, again, 32);
		assert_int_not_equal(finish((hsm_in){ priv, priv_len }, HSM_IMPORT_AES_KEY_WRAP_SHA256, (hsm_spec){ HSM_KEY_EC, HSM_P521 }, again, &key), HSM_OK);
		assert_int_equal(key, 0);
	}
}

static void
a_token_belongs_to_its_key_account_and_time(void **state)
{
	const hsm_in material = IN("thirty-two bytes of somebody's k");
	uint8_t print[32], flipped[6144];
	hsm_session local;
	hsm_in w;
	hsm_key key;

	(void)state;
	begin(HSM_IMPORT_OAEP_SHA256);
	w = wrap(spki_in, HSM_IMPORT_OAEP_SHA256, material, wrapped);
	assert_int_equal(hsm_import_finish(service, part, IN(OTHER), token_in, w, 0, KDK, NULL, 0, print, &key), HSM_E_INTEGRITY);
	assert_int_equal(hsm_import_finish(service, other_part, IN(UUID), token_in, w, 0, KDK, NULL, 0, print, &key), HSM_E_INTEGRITY);
	assert_int_equal(hsm_import_finish(service, part, IN(UUID), token_in, w, 1000, KDK, NULL, 0, print, &key), HSM_E_EXPIRED);
	assert_int_equal(hsm_import_finish(service, part, IN(UUID), IN("no token"), w, 0, KDK, NULL, 0, print, &key), HSM_E_FORMAT);
	for (size_t bit = 0; bit < token_in.len * 8; bit += 97) {
		memcpy(flipped, token_in.ptr, token_in.len);
		flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(hsm_import_finish(service, part, IN(UUID), (hsm_in){ flipped, token_in.len }, w, 0, KDK, NULL, 0, print, &key), HSM_OK);
	}
	wrapped[100] ^= 1;
	assert_int_equal(hsm_import_finish(service, part, IN(UUID), token_in, w, 0, KDK, NULL, 0, print, &key), HSM_E_CIPHERTEXT);
	assert_int_equal(hsm_import_finish(service, part, IN(UUID), token_in, (hsm_in){ wrapped, 255 }, 0, KDK, NULL, 0, print, &key), HSM_E_CIPHERTEXT_LEN);
	assert_int_equal(hsm_import_finish(caller, part, IN(UUID), token_in, w, 0, KDK, NULL, 0, print, &key), HSM_E_ROLE);
	assert_int_equal(hsm_session_open(part, 0, &local), HSM_OK);
	assert_int_equal(hsm_import_finish(local, part, IN(UUID), token_in, w, 0, KDK, NULL, 0, print, &key), HSM_E_ROLE);
	assert_int_equal(hsm_session_close(local), HSM_OK);
	/* wrapped another way than the token says */
	w = wrap(spki_in, HSM_IMPORT_OAEP_SHA1, material, wrapped);
	assert_int_equal(hsm_import_finish(service, part, IN(UUID), token_in, w, 0, KDK, NULL, 0, print, &key), HSM_E_CIPHERTEXT);
	{
		hsm_out s = { NULL, 0, 0 }, t = { NULL, 0, 0 };

		assert_int_equal(hsm_import_begin(service, part, IN(UUID), HSM_IMPORT_OAEP_SHA256, 2048, 0, &s, &t), HSM_OK);
		assert_true(s.len > 500 && t.len <= 6144);
		assert_int_equal(hsm_import_begin(service, part, IN(UUID), HSM_IMPORT_OAEP_SHA256, 1024, 0, &s, &t), HSM_E_KEY_SIZE);
	}
}

/* ---- recipients ----------------------------------------------------------- */

/* The content of the next DER element, which must carry this tag. */
static hsm_in
element(struct reader *r, uint8_t tag)
{
	size_t len;

	assert_int_equal(reader_u8(r), tag);
	len = reader_u8(r);
	if (len == 0x81)
		len = reader_u8(r);
	else if (len == 0x82)
		len = reader_u16(r);
	else
		assert_true(len < 0x80);
	return reader_take(r, len);
}

static hsm_in
inside(hsm_in outer, struct reader *r)
{
	reader_init(r, outer);
	return outer;
}

/* Like a client in an enclave. */
static size_t
open_cms(hsm_in cms, uint8_t plain[4200])
{
	struct reader r, info, content;
	uint8_t key[32];
	hsm_out key_out = ROOM(key), out = { plain, 4200, 0 };
	hsm_in iv, body, wrapped_key;

	inside(cms, &r);
	inside(element(&r, 0x30), &r);
	(void)element(&r, 0x06);
	inside(element(&r, 0xa0), &r);
	inside(element(&r, 0x30), &r);
	assert_int_equal(element(&r, 0x02).ptr[0], 2);
	inside(element(&r, 0x31), &info);
	inside(element(&info, 0x30), &info);
	assert_int_equal(element(&info, 0x02).ptr[0], 2);
	assert_int_equal(element(&info, 0x80).len, 32);
	(void)element(&info, 0x30);
	wrapped_key = element(&info, 0x04);
	assert_int_equal(reader_left(&info), 0);
	inside(element(&r, 0x30), &content);
	assert_int_equal(reader_left(&r), 0);
	(void)element(&content, 0x06);
	inside(element(&content, 0x30), &info);
	(void)element(&info, 0x06);
	iv = element(&info, 0x04);
	body = element(&content, 0x80);
	assert_int_equal(reader_left(&content), 0);
	assert_int_equal(work((struct work){ HSM_KEY_RSA, PART_PRIVATE, { rsa_priv, rsa_priv_len }, HSM_RSA_OAEP,
	                                     { .hash = HSM_SHA256, .mgf = HSM_SHA256 }, wrapped_key, &key_out, true }), HSM_OK);
	assert_int_equal(work((struct work){ HSM_KEY_AES, PART_SECRET, { key, key_out.len }, HSM_AES_CBC_PAD, { .iv = iv }, body, &out, true }), HSM_OK);
	return out.len;
}

static hsm_key
make_kdk(hsm_part where)
{
	uint8_t sealed[1024];
	hsm_out out = ROOM(sealed);
	hsm_key key;

	assert_int_equal(hsm_generate(service, where, KDK, NULL, 0, &key), HSM_OK);
	assert_int_equal(hsm_object_seal(service, key, (hsm_binding){ IN(UUID), IN(MATERIAL) }, &out), HSM_OK);
	return key;
}

static void
a_recipient_gets_cms_instead_of_plaintext(void **state)
{
	const hsm_in to = { rsa_spki, rsa_spki_len };
	const hsm_key key = make_kdk(part);
	uint8_t blob[8192], cms[8192], plain[4200], clear[4200], pub[1024];
	hsm_out b, c, s, p;

	(void)state;
	static const size_t sizes[] = { 1, 15, 16, 17, 32, 100, 127, 128, 1000, 4096 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(clear, (int)i + 1, sizes[i]);
		b = ROOM(blob);
		c = ROOM(cms);
		assert_int_equal(hsm_envelope_seal(caller, key, HSM_NONE, (hsm_in){ clear, sizes[i] }, &b), HSM_OK);
		assert_int_equal(hsm_recipient_open(caller, key, HSM_NONE, (hsm_in){ blob, b.len }, to, &c), HSM_OK);
		assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), sizes[i]);
		assert_memory_equal(plain, clear, sizes[i]);
	}
	blob[b.len - 1] ^= 1;
	assert_int_equal(hsm_recipient_open(caller, key, HSM_NONE, (hsm_in){ blob, b.len }, to, &c), HSM_E_CIPHERTEXT);
	assert_int_equal(c.len, 0);

	b = ROOM(blob);
	c = ROOM(cms);
	p = ROOM(clear);
	assert_int_equal(hsm_recipient_data_key(caller, key, HSM_NONE, 32, to, &c, &b), HSM_OK);
	assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), 32);
	assert_int_equal(hsm_envelope_open(caller, key, HSM_NONE, (hsm_in){ blob, b.len }, &p), HSM_OK);
	assert_memory_equal(plain, clear, 32);

	s = ROOM(pub);
	b = ROOM(blob);
	c = ROOM(cms);
	p = ROOM(clear);
	assert_int_equal(hsm_recipient_data_key_pair(caller, key, HSM_NONE, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, to, &s, &c, &b), HSM_OK);
	assert_int_equal(hsm_envelope_open(caller, key, HSM_NONE, (hsm_in){ blob, b.len }, &p), HSM_OK);
	assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), p.len);
	assert_memory_equal(plain, clear, p.len);
	assert_true(s.len > 80);

	c = ROOM(cms);
	assert_int_equal(hsm_recipient_random(caller, 64, to, &c), HSM_OK);
	assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), 64);
	assert_int_equal(hsm_recipient_random(caller, 1025, to, &c), HSM_E_DATA_LEN);
	assert_int_equal(hsm_recipient_random(caller, 64, HSM_NONE, &c), HSM_E_ARGS);
	assert_int_equal(hsm_recipient_random(caller, 64, IN("not a key"), &c), HSM_E_KEY_VALUE);
	assert_int_equal(c.len, 0);
	c = (hsm_out){ NULL, 0, 0 };
	assert_int_equal(hsm_recipient_random(caller, 64, to, &c), HSM_OK);
	assert_true(c.len > 400 && c.len < 600);
	c = (hsm_out){ cms, 100, 0 };
	assert_int_equal(hsm_recipient_random(caller, 64, to, &c), HSM_E_BUFFER);
	assert_int_equal(hsm_destroy(service, key), HSM_OK);
}

static void
an_agreed_secret_for_a_recipient(void **state)
{
	const hsm_in to = { rsa_spki, rsa_spki_len };
	const hsm_attr attrs[] = { { HSM_ATTR_REVEAL, IN("\1") }, { HSM_ATTR_DERIVE, IN("\1") } };
	uint8_t priv[512], pub[512], cms[1024], plain[4200], secret[64];
	size_t priv_len, pub_len;
	hsm_params params = { .hash = HSM_HASH_NONE };
	hsm_out c = ROOM(cms), s = ROOM(secret);
	hsm_key key;

	(void)state;
	make_pair((hsm_spec){ HSM_KEY_EC, HSM_P256 }, priv, &priv_len, pub, &pub_len);
	params.peer = (hsm_in){ pub, pub_len };
	assert_int_equal(hsm_generate_pair(service, part, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, NULL, NULL, 0, attrs, 2, NULL, &key), HSM_OK);
	assert_int_equal(hsm_agree(caller, key, HSM_ECDH1_DERIVE, &params, &s), HSM_OK);
	assert_int_equal(s.len, 32);
	assert_int_equal(hsm_recipient_agree(caller, key, HSM_ECDH1_DERIVE, &params, to, &c), HSM_OK);
	assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), 32);
	assert_memory_equal(plain, secret, 32);
	assert_int_equal(hsm_destroy(service, key), HSM_OK);
	assert_int_equal(hsm_generate_pair(service, part, (hsm_spec){ HSM_KEY_EC, HSM_P256 }, NULL, NULL, 0, attrs + 1, 1, NULL, &key), HSM_OK);
	assert_int_equal(hsm_recipient_agree(caller, key, HSM_ECDH1_DERIVE, &params, to, &c), HSM_E_POLICY);
	assert_int_equal(hsm_destroy(service, key), HSM_OK);
}

/* What RSA decrypts, for a recipient: every length, and nothing for what does
 * not open. */
static void
a_decrypted_message_for_a_recipient(void **state)
{
	const hsm_in to = { rsa_spki, rsa_spki_len };
	const hsm_attr attrs[] = { { HSM_ATTR_DECRYPT, IN("\1") } };
	const hsm_params oaep = { .hash = HSM_SHA256, .mgf = HSM_SHA256 }, other = { .hash = HSM_SHA1, .mgf = HSM_SHA1 };
	uint8_t sealed[256], cms[2048], plain[4200], clear[190];
	hsm_out b = ROOM(sealed), c = ROOM(cms);
	hsm_key key;

	(void)state;
	assert_int_equal(hsm_generate_pair(service, part, (hsm_spec){ HSM_KEY_RSA, 2048 }, NULL, NULL, 0, attrs, 1, NULL, &key), HSM_OK);
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 32, 190 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(clear, (int)i + 1, sizes[i]);
		b = ROOM(sealed);
		c = ROOM(cms);
		assert_int_equal(hsm_encrypt(caller, key, HSM_RSA_OAEP, &oaep, (hsm_in){ clear, sizes[i] }, &b), HSM_OK);
		assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &oaep, (hsm_in){ sealed, b.len }, to, &c), HSM_OK);
		assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), sizes[i]);
		assert_memory_equal(plain, clear, sizes[i]);
	}
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &other, (hsm_in){ sealed, b.len }, to, &c), HSM_E_CIPHERTEXT);
	assert_int_equal(c.len, 0);
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &oaep, (hsm_in){ sealed, b.len - 1 }, to, &c), HSM_E_CIPHERTEXT_LEN);
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &oaep, HSM_NONE, to, &c), HSM_E_CIPHERTEXT_LEN);
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &oaep, (hsm_in){ sealed, b.len }, HSM_NONE, &c), HSM_E_ARGS);
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_SHA256_RSA_PKCS, &oaep, (hsm_in){ sealed, b.len }, to, &c), HSM_E_MECH);
	assert_int_equal(hsm_recipient_decrypt(service, key, HSM_RSA_OAEP, &oaep, (hsm_in){ sealed, b.len }, to, &c), HSM_E_ROLE);
	c = (hsm_out){ NULL, 0, 0 };
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &oaep, (hsm_in){ sealed, b.len }, to, &c), HSM_OK);
	assert_true(c.len > 600 && c.len < 900);
	c = (hsm_out){ cms, 100, 0 };
	assert_int_equal(hsm_recipient_decrypt(caller, key, HSM_RSA_OAEP, &oaep, (hsm_in){ sealed, b.len }, to, &c), HSM_E_BUFFER);
	assert_int_equal(hsm_destroy(service, key), HSM_OK);
}

static void
a_strict_partition_serves_recipients_alone(void **state)
{
	const hsm_params oaep = { .hash = HSM_SHA256, .mgf = HSM_SHA256 };
	const hsm_attr decrypts[] = { { HSM_ATTR_DECRYPT, IN("\1") } };
	uint8_t message[256];
	hsm_out m = ROOM(message);
	hsm_key pair;
	const hsm_in to = { rsa_spki, rsa_spki_len };
	uint8_t sealed[256], blob[256], cms[1024], plain[4200];
	hsm_out out = ROOM(sealed), b = ROOM(blob), c = ROOM(cms), p = ROOM(plain);
	hsm_session session;
	struct partition *partition;
	hsm_part strict;
	hsm_key key;

	(void)state;
	assert_int_equal(hsm_partition_create(IN("333333333333"), &out, &strict), HSM_OK);
	key = make_kdk(strict);
	assert_int_equal(partition_acquire(strict, &partition), HSM_OK);
	assert_int_equal(session_make(partition, HSM_ROLE_CALLER, 0, IN("p"), &session), HSM_OK);
	partition_release(partition);
	assert_int_equal(hsm_partition_restrict(strict), HSM_OK);
	assert_int_equal(hsm_data_key(session, key, HSM_NONE, 32, &p, &b), HSM_E_POLICY);
	b = ROOM(blob);
	assert_int_equal(hsm_recipient_data_key(session, key, HSM_NONE, 32, to, &c, &b), HSM_OK);
	assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), 32);
	assert_int_equal(hsm_envelope_open(session, key, HSM_NONE, (hsm_in){ blob, b.len }, &p), HSM_E_POLICY);
	c = ROOM(cms);
	assert_int_equal(hsm_recipient_open(session, key, HSM_NONE, (hsm_in){ blob, b.len }, to, &c), HSM_OK);

	assert_int_equal(hsm_generate_pair(service, strict, (hsm_spec){ HSM_KEY_RSA, 2048 }, NULL, NULL, 0, decrypts, 1, NULL, &pair), HSM_OK);
	assert_int_equal(hsm_encrypt(session, pair, HSM_RSA_OAEP, &oaep, IN("for one reader"), &m), HSM_OK);
	p = ROOM(plain);
	assert_int_equal(hsm_decrypt(session, pair, HSM_RSA_OAEP, &oaep, (hsm_in){ message, m.len }, &p), HSM_E_POLICY);
	assert_int_equal(p.len, 0);
	assert_int_equal(hsm_begin(session, MECH_DECRYPT, pair, HSM_RSA_OAEP, &oaep), HSM_E_POLICY);
	c = ROOM(cms);
	assert_int_equal(hsm_recipient_decrypt(session, pair, HSM_RSA_OAEP, &oaep, (hsm_in){ message, m.len }, to, &c), HSM_OK);
	assert_int_equal(open_cms((hsm_in){ cms, c.len }, plain), 14);
	assert_memory_equal(plain, "for one reader", 14);
	assert_int_equal(hsm_partition_close(strict), HSM_OK);
}

/* ---- room that runs out --------------------------------------------------- */

static hsm_status
one_import(void)
{
	uint8_t print[32];
	hsm_key key;
	const hsm_status st = hsm_import_finish(service, part, IN(UUID), token_in, (hsm_in){ wrapped, 256 }, 0, KDK, NULL, 0, print, &key);

	assert_int_equal(key == 0, st != HSM_OK);
	if (st == HSM_OK)
		assert_int_equal(hsm_destroy(service, key), HSM_OK);
	return st;
}

static hsm_status
one_random(void)
{
	uint8_t cms[1024];
	hsm_out c = ROOM(cms);
	const hsm_status st = hsm_recipient_random(caller, 64, (hsm_in){ rsa_spki, rsa_spki_len }, &c);

	assert_int_equal(c.len == 0, st != HSM_OK);
	return st;
}

static void
room_that_runs_out(void **state)
{
	hsm_status (*const calls[])(void) = { one_import, one_random };

	(void)state;
	begin(HSM_IMPORT_OAEP_SHA256);
	assert_int_equal(wrap(spki_in, HSM_IMPORT_OAEP_SHA256, IN("thirty-two bytes of somebody's k"), wrapped).len, 256);
	for (size_t i = 0; i < 2; i++) {
		unsigned failed = 0;
		size_t before;

		assert_int_equal(calls[i](), HSM_OK);
		before = arena_live();
		for (unsigned n = 0;; n++) {
			hsm_status st;

			fault_after(n);
			st = calls[i]();
			fault_off();
			assert_true(arena_live() <= before);
			if (!fault_fired())
				break;
			failed += st != HSM_OK;
			assert_true(st == HSM_OK || st == HSM_E_MEMORY);
		}
		assert_true(failed > 3);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symmetric_material_comes_in_and_works),
		cmocka_unit_test(material_must_be_of_its_spec),
		cmocka_unit_test(private_keys_come_in),
		cmocka_unit_test(a_token_belongs_to_its_key_account_and_time),
		cmocka_unit_test(a_recipient_gets_cms_instead_of_plaintext),
		cmocka_unit_test(an_agreed_secret_for_a_recipient),
		cmocka_unit_test(a_decrypted_message_for_a_recipient),
		cmocka_unit_test(a_strict_partition_serves_recipients_alone),
		cmocka_unit_test(room_that_runs_out),
	};

	return cmocka_run_group_tests_name("import", tests, open_accounts, vault_close);
}
