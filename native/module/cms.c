#include "cms.h"

#include <string.h>

#include "../crypto/rng.h"
#include "../mech/primitive.h"

#define KEY_LEN 32u
#define IV_LEN 16u
#define BLOCK 16u

/* DER of what never changes. */
static const uint8_t oid_enveloped[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03 };
static const uint8_t oid_data[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01 };
static const uint8_t version_2[] = { 0x02, 0x01, 0x02 };
/* id-RSAES-OAEP { sha256, mgf1 { sha256 } } */
static const uint8_t alg_oaep[] = {
	0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, 0x30, 0x2f,
	0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
	0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00 };
/* aes256-CBC; the iv follows */
static const uint8_t alg_cbc[] = { 0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a, 0x04, IV_LEN };

enum { TAG_OCTETS = 0x04, TAG_SEQUENCE = 0x30, TAG_SET = 0x31, TAG_CONTENT = 0x80, TAG_EXPLICIT = 0xa0 };

/* ---- lengths -------------------------------------------------------------- */

/* A header and `len` bytes behind it. */
static size_t
element(size_t len)
{
	return 1 + (len < 0x80 ? 1u : len < 0x100 ? 2u : len < 0x10000 ? 3u : 4u) + len;
}

/* Of each element what is in it, from the inside out. */
struct plan { size_t content, recipient, recipients, info, data, whole; };

static struct plan
plan_make(const struct cms_recipient *r, size_t clear_len)
{
	struct plan p;

	p.content = clear_len / BLOCK * BLOCK + BLOCK;
	p.recipient = sizeof version_2 + element(sizeof r->id) + sizeof alg_oaep + element(r->modulus_len);
	p.recipients = element(p.recipient);
	p.info = sizeof oid_data + sizeof alg_cbc + IV_LEN + element(p.content);
	p.data = sizeof version_2 + element(p.recipients) + element(p.info);
	p.whole = sizeof oid_enveloped + element(element(p.data));
	return p;
}

size_t
cms_len(const struct cms_recipient *r, size_t clear_len)
{
	return element(plan_make(r, clear_len).whole);
}

/* ---- writing -------------------------------------------------------------- */

static void
put_header(struct writer *w, uint8_t tag, size_t len)
{
	const size_t octets = element(len) - len - 2;           /* of a long length */

	writer_u8(w, tag);
	if (octets == 0) {
		writer_u8(w, (uint8_t)len);
		return;
	}
	writer_u8(w, (uint8_t)(0x80 | octets));
	for (size_t i = octets; i > 0; i--)
		writer_u8(w, (uint8_t)(len >> 8 * (i - 1)));
}

/* The next `len` bytes are filled by the caller. */
static uint8_t *
put_room(struct writer *w, size_t len)
{
	uint8_t *const at = w->ptr + w->len;

	w->len += len;
	return at;
}

struct rooms { uint8_t *key, *iv, *content; };

static void
put_all(struct writer *w, const struct cms_recipient *r, const struct plan *p, struct rooms *rooms)
{
	put_header(w, TAG_SEQUENCE, p->whole);
	writer_put(w, oid_enveloped, sizeof oid_enveloped);
	put_header(w, TAG_EXPLICIT, element(p->data));
	put_header(w, TAG_SEQUENCE, p->data);
	writer_put(w, version_2, sizeof version_2);
	put_header(w, TAG_SET, p->recipients);
	put_header(w, TAG_SEQUENCE, p->recipient);
	writer_put(w, version_2, sizeof version_2);
	put_header(w, TAG_CONTENT, sizeof r->id);               /* [0] subjectKeyIdentifier */
	writer_put(w, r->id, sizeof r->id);
	writer_put(w, alg_oaep, sizeof alg_oaep);
	put_header(w, TAG_OCTETS, r->modulus_len);
	rooms->key = put_room(w, r->modulus_len);
	put_header(w, TAG_SEQUENCE, p->info);
	writer_put(w, oid_data, sizeof oid_data);
	writer_put(w, alg_cbc, sizeof alg_cbc);
	rooms->iv = put_room(w, IV_LEN);
	put_header(w, TAG_CONTENT, p->content);                 /* [0] encryptedContent */
	rooms->content = put_room(w, p->content);
}

/* ---- sealing -------------------------------------------------------------- */

static hsm_status
seal_key(const struct cms_recipient *r, const struct secret *fresh, uint8_t *room)
{
	const hsm_params oaep = { .hash = HSM_SHA256, .mgf = HSM_SHA256 };
	hsm_out out = { room, r->modulus_len, 0 };

	return mech_find(HSM_RSA_OAEP)->seal(&r->key, &oaep, secret_in(fresh), &out);
}

static hsm_status
seal_content(const struct secret *fresh, const uint8_t *iv, hsm_in clear, uint8_t *room, size_t len)
{
	const hsm_params cbc = { .iv = { iv, IV_LEN } };
	hsm_out out = { room, len, 0 };
	struct key aes;
	hsm_status st;

	if ((st = key_load(&aes, HSM_KEY_AES, PART_SECRET, secret_in(fresh))) != HSM_OK)
		return st;
	st = mech_find(HSM_AES_CBC_PAD)->seal(&aes, &cbc, clear, &out);
	key_unload(&aes);
	return st == HSM_OK && out.len != len ? HSM_E_CRYPTO : st;
}

hsm_status
cms_seal(const struct cms_recipient *r, hsm_in clear, uint8_t *out)
{
	const struct plan p = plan_make(r, clear.len);
	struct secret fresh = SECRET_NONE;
	struct rooms rooms;
	struct writer w;
	hsm_status st;

	writer_init(&w, out, element(p.whole));
	put_all(&w, r, &p, &rooms);
	if ((st = secret_alloc(&fresh, KEY_LEN)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(fresh.ptr, fresh.len)) != HSM_OK)
		goto out;
	if ((st = rng_nonce(rooms.iv, IV_LEN)) != HSM_OK)
		goto out;
	if ((st = seal_key(r, &fresh, rooms.key)) != HSM_OK)
		goto out;
	st = seal_content(&fresh, rooms.iv, clear, rooms.content, p.content);
out:
	if (st != HSM_OK)
		bytes_wipe(out, element(p.whole));
	secret_wipe(&fresh);
	return st;
}

/* ---- whom for ------------------------------------------------------------- */

hsm_status
cms_recipient_load(struct cms_recipient *r, hsm_in spki)
{
	hsm_status st;

	memset(r, 0, sizeof *r);
	if ((st = key_load(&r->key, HSM_KEY_RSA, PART_PUBLIC, spki)) != HSM_OK)
		return st;
	if (r->key.spec.param < 2048 || r->key.spec.param > 4096 || r->key.spec.param % 8 != 0) {
		cms_recipient_unload(r);
		return HSM_E_KEY_SIZE;
	}
	r->modulus_len = r->key.spec.param / 8;
	return primitive_hash(HSM_SHA256, &spki, 1, r->id);
}

void
cms_recipient_unload(struct cms_recipient *r)
{
	key_unload(&r->key);
}
