/* softhsm_file.c - see softhsm.h. */
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "softhsm.h"

#define FILE_MAX (4u << 20)             /* of an object; SoftHSM2 makes some KiB */
#define IV_LEN 16u
#define SALT_LEN 8u
#define BLOB_LEN (SALT_LEN + IV_LEN + 48u)
#define ROUNDS 1500u

static const uint8_t magic[3] = { 'R', 'J', 'R' };

/* ---- files ---------------------------------------------------------------------- */

static hsm_in
take_long(struct reader *r, uint64_t len)
{
	return len > FILE_MAX ? reader_take(r, SIZE_MAX) : reader_take(r, (size_t)len);
}

static void
attr_read(struct reader *r, struct soft_attr *a)
{
	uint64_t kind, count;

	*a = (struct soft_attr){ .type = reader_u64(r) };
	kind = reader_u64(r);
	a->kind = (enum soft_kind)kind;
	switch (kind) {
	case SOFT_FLAG:
		a->number = reader_u8(r);
		break;
	case SOFT_NUMBER:
		a->number = reader_u64(r);
		break;
	case SOFT_BYTES:
	case SOFT_TEMPLATE:
		a->bytes = take_long(r, reader_u64(r));
		break;
	case SOFT_MECHANISMS:
		count = reader_u64(r);
		a->bytes = take_long(r, count > FILE_MAX ? count : 8 * count);
		break;
	default:
		r->failed = true;
		break;
	}
}

hsm_status
soft_parse(hsm_in bytes, struct soft_attr *attrs, size_t room, size_t *n)
{
	struct reader r;

	reader_init(&r, bytes);
	for (*n = 0; reader_left(&r) != 0 && !r.failed; (*n)++) {
		if (*n == room)
			return HSM_E_LIMIT;
		attr_read(&r, &attrs[*n]);
	}
	return reader_done(&r) ? HSM_OK : HSM_E_FORMAT;
}

hsm_status
soft_read(const char *path, struct soft_object *o)
{
	hsm_status st;

	memset(o, 0, sizeof *o);
	if ((st = file_load(path, &o->file, &o->len)) == HSM_OK)
		st = o->len > FILE_MAX ? HSM_E_LIMIT : o->len < 8 ? HSM_E_FORMAT : soft_parse((hsm_in){ o->file + 8, o->len - 8 }, o->attrs, SOFT_ATTRS_MAX, &o->n);
	if (st != HSM_OK)
		soft_free(o);
	return st;
}

void
soft_free(struct soft_object *o)
{
	free(o->file);
	memset(o, 0, sizeof *o);
}

const struct soft_attr *
soft_find(const struct soft_object *o, uint64_t type)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->attrs[i].type == type)
			return &o->attrs[i];
	return NULL;
}

/* ---- the key -------------------------------------------------------------------- */

static hsm_status
aes_key(const struct soft_key *k, hsm_in value, hsm_key *key)
{
	const uint64_t klass = HSM_CLASS_SECRET, type = HSM_KEY_AES;
	const uint8_t yes = 1, no = 0;
	const hsm_attr attrs[] = {
		{ HSM_ATTR_CLASS, { (const uint8_t *)&klass, sizeof klass } },
		{ HSM_ATTR_KEY_TYPE, { (const uint8_t *)&type, sizeof type } },
		{ HSM_ATTR_TOKEN, { &no, 1 } }, { HSM_ATTR_DECRYPT, { &yes, 1 } }, { HSM_ATTR_SENSITIVE, { &yes, 1 } },
		{ HSM_ATTR_VALUE, value },
	};

	return hsm_create(k->session, 0, attrs, sizeof attrs / sizeof *attrs, key);
}

static hsm_status
cbc_open(const struct soft_key *k, hsm_key key, hsm_in sealed, hsm_out *to)
{
	hsm_params params = { .iv = { sealed.ptr, IV_LEN } };

	if (sealed.len < 2 * IV_LEN || sealed.len % IV_LEN != 0)
		return HSM_E_CIPHERTEXT;
	return hsm_decrypt(k->session, key, HSM_AES_CBC_PAD, &params, (hsm_in){ sealed.ptr + IV_LEN, sealed.len - IV_LEN }, to);
}

hsm_status
soft_open(const struct soft_key *k, hsm_in sealed, hsm_out *to)
{
	return cbc_open(k, k->key, sealed, to);
}

/* The key that a PIN gives. room: the salt and the PIN at first. */
static hsm_status
pin_stretch(const struct soft_key *k, struct secret *room, uint8_t last)
{
	uint8_t *half = room->ptr + room->len - 64;
	hsm_in in = { room->ptr, room->len - 64 };
	hsm_status st = HSM_OK;

	for (unsigned i = 0; i < ROUNDS + last && st == HSM_OK; i++) {
		/* Two places take turns: the call reads one and writes the other. */
		hsm_out out = { half + 32 * (i & 1), 32, 0 };

		st = hsm_digest(k->session, HSM_SHA256_, NULL, in, &out);
		in = (hsm_in){ out.ptr, 32 };
	}
	if (st == HSM_OK && in.ptr != half)
		memcpy(half, in.ptr, 32);
	return st;
}

static hsm_status
wrapped_open(struct soft_key *k, hsm_in blob, hsm_in pin)
{
	struct secret room = SECRET_NONE, clear = SECRET_NONE;
	hsm_key wrapping = 0;
	hsm_out out;
	hsm_status st;

	if (blob.len != BLOB_LEN)
		return HSM_E_FORMAT;
	if ((st = secret_alloc(&room, SALT_LEN + pin.len + 64)) != HSM_OK || (st = secret_alloc(&clear, 48)) != HSM_OK)
		goto out;
	memcpy(room.ptr, blob.ptr, SALT_LEN);
	memcpy(room.ptr + SALT_LEN, pin.ptr, pin.len);
	if ((st = pin_stretch(k, &room, blob.ptr[SALT_LEN - 1])) != HSM_OK
	    || (st = aes_key(k, (hsm_in){ room.ptr + room.len - 64, 32 }, &wrapping)) != HSM_OK)
		goto out;
	out = (hsm_out){ clear.ptr, clear.len, 0 };
	st = cbc_open(k, wrapping, (hsm_in){ blob.ptr + SALT_LEN, blob.len - SALT_LEN }, &out);
	if (st == HSM_E_CIPHERTEXT || (st == HSM_OK && (out.len != sizeof magic + 32 || memcmp(clear.ptr, magic, sizeof magic) != 0)))
		st = HSM_E_PIN;
	if (st == HSM_OK)
		st = aes_key(k, (hsm_in){ clear.ptr + sizeof magic, 32 }, &k->key);
out:
	if (wrapping != 0)
		(void)!hsm_destroy(k->session, wrapping);
	secret_wipe(&room);
	secret_wipe(&clear);
	return st;
}

hsm_status
soft_unlock(const struct soft_object *token, hsm_in pin, struct soft_key *k)
{
	const struct soft_attr *blob = soft_find(token, SOFT_USER_PIN);
	hsm_status st;

	memset(k, 0, sizeof *k);
	if (pin.len == 0)
		return HSM_E_PIN;
	if (soft_find(token, SOFT_LABEL) == NULL || soft_find(token, SOFT_SO_PIN) == NULL)
		return HSM_E_FORMAT;
	if (blob == NULL || blob->kind != SOFT_BYTES || blob->bytes.len == 0)
		return HSM_E_PIN_UNSET;
	if ((st = hsm_partition_ephemeral((hsm_in){ (const uint8_t *)"import", 6 }, &k->part)) == HSM_OK
	    && (st = hsm_session_open(k->part, HSM_SESSION_RW, &k->session)) == HSM_OK)
		st = wrapped_open(k, blob->bytes, pin);
	if (st != HSM_OK)
		soft_lock(k);
	return st;
}

void
soft_lock(struct soft_key *k)
{
	if (k->session != 0)
		(void)!hsm_session_close(k->session);
	if (k->part != 0)
		(void)!hsm_partition_close(k->part);
	memset(k, 0, sizeof *k);
}
