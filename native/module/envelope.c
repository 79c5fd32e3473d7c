/* Layout of a blob:
 *
 *   "SRe" | version 1 | account 12 | forms | object id | material id
 *   | nonce 16 | commitment 32 | ciphertext | tag 16
 *
 * Names lie in their shortest form (a UUID as 16 bytes, 64 hex digits as 32),
 * so a name has one encoding only. Everything up to the nonce is the context
 * of the derivation; everything up to the commitment, and the canonical
 * encryption context, is additional data of AES-256-GCM. The key serves this
 * message alone, so the IV is all zero. */
#include "envelope.h"

#include <string.h>

#include "../base/arena.h"
#include "../crypto/rng.h"
#include "../mech/kdk.h"
#include "../mech/primitive.h"
#include "context.h"
#include "gate.h"
#include "session.h"

#define VERSION 1u
#define ACCOUNT_LEN 12u
#define KEY_LEN 32u
#define NAME_MAX_LEN 64u
#define FIXED (ENVELOPE_NONCE + ENVELOPE_COMMITMENT)
#define SMALL 768u                      /* additional data that fits the stack */
#define SMALL_PLAIN 512u

static const uint8_t magic[4] = { 'S', 'R', 'e', VERSION };
static const uint8_t zero_iv[12];
static const hsm_in label = { (const uint8_t *)"envelope", 8 };

/* ---- names ---------------------------------------------------------------- */

/* The forms byte: object id in the low half, material id in the high one. */
enum { FORM_TEXT, FORM_UUID, FORM_MRK, FORM_HEX64 };

/* Value of a lower-case hex digit; over 15: none. */
static unsigned
hex_digit(uint8_t c)
{
	const unsigned digit = c - (unsigned)'0', letter = c - (unsigned)'a';

	return digit < 10 ? digit : letter < 6 ? letter + 10 : 16;
}

/* Lower-case hex digits -> bytes, skipping dashes where a UUID has them. */
static bool
hex_pack(hsm_in text, bool dashes, uint8_t *out)
{
	unsigned bad = 0, high, low;

	for (size_t i = 0; i < text.len; i += 2) {
		if (dashes && (i == 8 || i == 13 || i == 18 || i == 23))
			bad |= (unsigned)(text.ptr[i++] != '-');
		high = hex_digit(text.ptr[i]);
		low = hex_digit(text.ptr[i + 1]);
		bad |= (high | low) >> 4;
		*out++ = (uint8_t)(high << 4 | (low & 15));
	}
	return bad == 0;
}

static size_t
hex_unpack(hsm_in bytes, bool dashes, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		if (dashes && (i == 4 || i == 6 || i == 8 || i == 10))
			out[n++] = '-';
		out[n++] = (uint8_t)digits[bytes.ptr[i] >> 4];
		out[n++] = (uint8_t)digits[bytes.ptr[i] & 15];
	}
	return n;
}

static bool
starts_mrk(hsm_in id)
{
	return id.len == 36 && memcmp(id.ptr, "mrk-", 4) == 0;
}

/* One name in its shortest form; answers which. room: 1 + NAME_MAX_LEN. */
static uint8_t
name_pack(hsm_in id, uint8_t *room, size_t *len)
{
	if (starts_mrk(id) && hex_pack((hsm_in){ id.ptr + 4, 32 }, false, room)) {
		*len = 16;
		return FORM_MRK;
	}
	if (id.len == 36 && hex_pack(id, true, room)) {
		*len = 16;
		return FORM_UUID;
	}
	if (id.len == 64 && hex_pack(id, false, room)) {
		*len = 32;
		return FORM_HEX64;
	}
	room[0] = (uint8_t)id.len;
	memcpy(room + 1, id.ptr, id.len);
	*len = 1 + id.len;
	return FORM_TEXT;
}

static hsm_status
names_write(struct envelope *e, hsm_in account, hsm_binding binding)
{
	uint8_t object[1 + NAME_MAX_LEN], material[1 + NAME_MAX_LEN];
	size_t object_len, material_len;
	struct writer w;
	uint8_t forms;

	if (account.len != ACCOUNT_LEN || binding.object_id.len == 0 || binding.object_id.len > NAME_MAX_LEN
	    || binding.material_id.len == 0 || binding.material_id.len > NAME_MAX_LEN)
		return HSM_E_POLICY;
	forms = name_pack(binding.object_id, object, &object_len);
	forms |= (uint8_t)(name_pack(binding.material_id, material, &material_len) << 4);
	writer_init(&w, e->names, sizeof e->names);
	writer_put(&w, magic, sizeof magic);
	writer_put(&w, account.ptr, account.len);
	writer_u8(&w, forms);
	writer_put(&w, object, object_len);
	writer_put(&w, material, material_len);
	e->names_len = w.len;
	return HSM_OK;
}

hsm_status
envelope_name(struct envelope *e, const struct object *o)
{
	const struct key *key = object_key(o);

	if (key->kind->type != HSM_KEY_KDK)
		return HSM_E_KEY_TYPE;
	e->key = key->ctx;
	return names_write(e, partition_account(object_partition(o)), object_binding(o));
}

static size_t
name_unpack(struct reader *r, uint8_t form, uint8_t text[NAME_MAX_LEN])
{
	hsm_in raw;

	switch (form) {
	case FORM_TEXT:
		raw = reader_take(r, reader_u8(r));
		if (raw.len == 0 || raw.len > NAME_MAX_LEN)
			r->failed = true;
		else
			memcpy(text, raw.ptr, raw.len);
		return r->failed ? 0 : raw.len;
	case FORM_UUID:
		raw = reader_take(r, 16);
		return r->failed ? 0 : hex_unpack(raw, true, text);
	case FORM_MRK:
		raw = reader_take(r, 16);
		memcpy(text, "mrk-", 4);
		return r->failed ? 0 : 4 + hex_unpack(raw, false, text + 4);
	case FORM_HEX64:
		raw = reader_take(r, 32);
		return r->failed ? 0 : hex_unpack(raw, false, text);
	default:
		r->failed = true;
		return 0;
	}
}

/* A name that was not packed as short as it can be is not ours. */
static bool
names_canonical(const hsm_envelope_name *name, hsm_in blob)
{
	struct envelope e;
	const hsm_binding binding = { { name->object_id, name->object_id_len }, { name->material_id, name->material_id_len } };

	return names_write(&e, (hsm_in){ name->account, ACCOUNT_LEN }, binding) == HSM_OK
	       && memcmp(e.names, blob.ptr, e.names_len) == 0;
}

hsm_status
hsm_envelope_peek(hsm_in blob, hsm_envelope_name *name)
{
	struct reader r;
	hsm_in title;
	uint8_t forms;

	memset(name, 0, sizeof *name);
	reader_init(&r, blob);
	title = reader_take(&r, sizeof magic);
	reader_copy(&r, name->account, ACCOUNT_LEN);
	forms = reader_u8(&r);
	if (r.failed || memcmp(title.ptr, magic, sizeof magic) != 0)
		goto no;
	name->object_id_len = name_unpack(&r, forms & 15, name->object_id);
	name->material_id_len = name_unpack(&r, forms >> 4, name->material_id);
	if (r.failed || reader_left(&r) <= FIXED + ENVELOPE_TAG || !names_canonical(name, blob))
		goto no;
	return HSM_OK;
no:
	memset(name, 0, sizeof *name);
	return HSM_E_FORMAT;
}

/* ---- one message ---------------------------------------------------------- */

size_t
envelope_len(const struct envelope *e, size_t plain_len)
{
	return e->names_len + FIXED + plain_len + ENVELOPE_TAG;
}

size_t
envelope_plain_len(const struct envelope *e, size_t blob_len)
{
	const size_t rest = envelope_len(e, 0);

	return blob_len <= rest || blob_len - rest > ENVELOPE_PLAIN_MAX ? 0 : blob_len - rest;
}

/* Additional data: the header, then the canonical context. */
struct additional { uint8_t small[SMALL], *ptr; size_t len; };

size_t
envelope_heap(hsm_in pairs)
{
	const size_t len = ENVELOPE_NAMES_MAX + FIXED + CONTEXT_LEN(pairs.len);

	return context_heap(pairs) + (len > SMALL ? len + 64 : 0);
}

static hsm_status
additional_make(struct additional *a, const uint8_t *header, size_t header_len, hsm_in pairs)
{
	a->len = header_len + CONTEXT_LEN(pairs.len);
	a->ptr = a->len <= SMALL ? a->small : arena_alloc(a->len);
	if (a->ptr == NULL)
		return HSM_E_MEMORY;
	memcpy(a->ptr, header, header_len);
	return context_write(pairs, a->ptr + header_len);
}

static void
additional_free(struct additional *a)
{
	if (a->ptr != a->small)
		arena_free(a->ptr);
}

/* The message's key and commitment, from the blob's own first bytes. */
static hsm_status
message_keys(const struct envelope *e, const uint8_t *blob, uint8_t keys[KEY_LEN + ENVELOPE_COMMITMENT])
{
	return hkey_derive(e->key, label, (hsm_in){ blob, e->names_len + ENVELOPE_NONCE }, keys, KEY_LEN + ENVELOPE_COMMITMENT);
}

hsm_status
envelope_seal(const struct envelope *e, hsm_in pairs, hsm_in plain, uint8_t *blob)
{
	uint8_t header[ENVELOPE_NAMES_MAX + FIXED], keys[KEY_LEN + ENVELOPE_COMMITMENT];
	uint8_t *const nonce = header + e->names_len;
	const size_t header_len = e->names_len + FIXED;
	struct additional a = { .ptr = a.small };
	hsm_status st;

	if (plain.len == 0 || plain.len > ENVELOPE_PLAIN_MAX || pairs.len > CONTEXT_MAX)
		return HSM_E_DATA_LEN;
	memcpy(header, e->names, e->names_len);
	if ((st = rng_nonce(nonce, ENVELOPE_NONCE)) != HSM_OK)
		goto out;
	if ((st = message_keys(e, header, keys)) != HSM_OK)
		goto out;
	memcpy(nonce + ENVELOPE_NONCE, keys + KEY_LEN, ENVELOPE_COMMITMENT);
	if ((st = additional_make(&a, header, header_len, pairs)) != HSM_OK)
		goto out;
	memcpy(blob, header, header_len);
	st = primitive_gcm_seal((hsm_in){ keys, KEY_LEN }, zero_iv, (hsm_in){ a.ptr, a.len }, plain, blob + header_len);
	if (st != HSM_OK)
		bytes_wipe(blob, envelope_len(e, plain.len));
out:
	additional_free(&a);
	bytes_wipe(keys, sizeof keys);
	return st;
}

hsm_status
envelope_open(const struct envelope *e, hsm_in pairs, hsm_in blob, uint8_t *plain)
{
	uint8_t keys[KEY_LEN + ENVELOPE_COMMITMENT];
	const size_t header_len = e->names_len + FIXED;
	struct additional a = { .ptr = a.small };
	hsm_in body;
	hsm_status st;

	if (pairs.len > CONTEXT_MAX)
		return HSM_E_DATA_LEN;
	st = HSM_E_CIPHERTEXT;
	if (envelope_plain_len(e, blob.len) == 0 || memcmp(blob.ptr, e->names, e->names_len) != 0)
		goto out;
	if ((st = message_keys(e, blob.ptr, keys)) != HSM_OK)
		goto out;
	st = HSM_E_CIPHERTEXT;
	if (!bytes_equal_secret(blob.ptr + e->names_len + ENVELOPE_NONCE, keys + KEY_LEN, ENVELOPE_COMMITMENT))
		goto out;
	if ((st = additional_make(&a, blob.ptr, header_len, pairs)) != HSM_OK)
		goto out;
	body = (hsm_in){ blob.ptr + header_len, blob.len - header_len };
	st = primitive_gcm_open((hsm_in){ keys, KEY_LEN }, zero_iv, (hsm_in){ a.ptr, a.len }, body, plain);
out:
	additional_free(&a);
	bytes_wipe(keys, sizeof keys);
	return st;
}

/* ---- the calls ------------------------------------------------------------ */

struct sealing { struct envelope e; hsm_in pairs, plain; uint8_t *blob; };

static hsm_status
run_seal(void *arg)
{
	const struct sealing *job = arg;

	return envelope_seal(&job->e, job->pairs, job->plain, job->blob);
}

hsm_status
hsm_envelope_seal(hsm_session session, hsm_key key, hsm_in pairs, hsm_in plain, hsm_out *blob)
{
	struct sealing job = { .pairs = pairs, .plain = plain };
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, key, MECH_ENCRYPT, NULL, &o)) != HSM_OK)
		goto out;
	if ((st = envelope_name(&job.e, o)) != HSM_OK)
		goto out;
	if ((st = out_need(blob, envelope_len(&job.e, plain.len))) != HSM_OK || blob->ptr == NULL)
		goto out;
	job.blob = blob->ptr;
	gate_approved(true);
	st = gate_run(run_seal, &job, envelope_heap(pairs), ENVELOPE_DEPTH);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER)
		blob->len = 0;
	object_release(o);
	if (s != NULL)
		session_release(s);
	return st;
}

struct opening { struct envelope e; hsm_in pairs, blob; hsm_out *plain; };

/* Opened in the arena and copied out when it is known to be right. */
static hsm_status
run_open(void *arg)
{
	struct opening *job = arg;
	const size_t len = envelope_plain_len(&job->e, job->blob.len);
	uint8_t small[SMALL_PLAIN];
	struct secret large = SECRET_NONE;
	uint8_t *clear = small;
	hsm_status st = HSM_OK;

	if (len > sizeof small && (st = secret_alloc(&large, len)) == HSM_OK)
		clear = large.ptr;
	if (st == HSM_OK)
		st = envelope_open(&job->e, job->pairs, job->blob, clear);
	if (st == HSM_OK)
		memcpy(job->plain->ptr, clear, len);
	bytes_wipe(small, len < sizeof small ? len : sizeof small);
	secret_wipe(&large);
	return st;
}

hsm_status
hsm_envelope_open(hsm_session session, hsm_key key, hsm_in pairs, hsm_in blob, hsm_out *plain)
{
	struct opening job = { .pairs = pairs, .blob = blob, .plain = plain };
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, key, MECH_DECRYPT, NULL, &o)) != HSM_OK)
		goto out;
	if ((st = envelope_name(&job.e, o)) != HSM_OK)
		goto out;
	st = HSM_E_POLICY;
	if (partition_strict(object_partition(o)))
		goto out;
	st = HSM_E_CIPHERTEXT;
	if (envelope_plain_len(&job.e, blob.len) == 0)
		goto out;
	if ((st = out_need(plain, envelope_plain_len(&job.e, blob.len))) != HSM_OK || plain->ptr == NULL)
		goto out;
	gate_approved(true);
	st = gate_run(run_open, &job, envelope_heap(pairs) + ENVELOPE_PLAIN_MAX + 64, ENVELOPE_DEPTH);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER)
		plain->len = 0;
	object_release(o);
	if (s != NULL)
		session_release(s);
	return st;
}

struct moving { struct envelope from, to; hsm_in from_pairs, to_pairs, blob; uint8_t *moved; };

static hsm_status
run_move(void *arg)
{
	const struct moving *job = arg;
	struct secret clear = SECRET_NONE;
	hsm_status st;

	if ((st = secret_alloc(&clear, envelope_plain_len(&job->from, job->blob.len))) != HSM_OK)
		goto out;
	if ((st = envelope_open(&job->from, job->from_pairs, job->blob, clear.ptr)) != HSM_OK)
		goto out;
	st = envelope_seal(&job->to, job->to_pairs, secret_in(&clear), job->moved);
out:
	secret_wipe(&clear);
	return st;
}

hsm_status
hsm_envelope_move(hsm_session session, hsm_key from, hsm_in from_pairs, hsm_in blob, hsm_key to, hsm_in to_pairs, hsm_out *moved)
{
	struct moving job = { .from_pairs = from_pairs, .to_pairs = to_pairs, .blob = blob };
	struct session *s = NULL;
	struct object *source = NULL, *target = NULL;
	hsm_status st;
	size_t heap;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, from, MECH_DECRYPT, NULL, &source)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, to, MECH_ENCRYPT, NULL, &target)) != HSM_OK)
		goto out;
	if ((st = envelope_name(&job.from, source)) != HSM_OK)
		goto out;
	if ((st = envelope_name(&job.to, target)) != HSM_OK)
		goto out;
	st = HSM_E_CIPHERTEXT;
	if (envelope_plain_len(&job.from, blob.len) == 0)
		goto out;
	st = out_need(moved, envelope_len(&job.to, envelope_plain_len(&job.from, blob.len)));
	if (st != HSM_OK || moved->ptr == NULL)
		goto out;
	job.moved = moved->ptr;
	gate_approved(true);
	heap = envelope_heap(from_pairs) + envelope_heap(to_pairs) + ENVELOPE_PLAIN_MAX + 64;
	st = gate_run(run_move, &job, heap, ENVELOPE_DEPTH);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER)
		moved->len = 0;
	object_release(target);
	object_release(source);
	if (s != NULL)
		session_release(s);
	return st;
}
