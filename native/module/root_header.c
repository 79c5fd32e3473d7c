/* root_header.c - see root_header.h. */
#include "root_header.h"

#include <string.h>

#include "../mech/hkey.h"
#include "../mech/primitive.h"

#define VERSION 1u
#define PARAMS_SHORT 64u                /* longer ones are bound by their digest */
#define CONTEXT_MAX (HEADER_NAME_LEN + 1 + 2 + PARAMS_SHORT)

static const uint8_t magic[4] = { 'S', 'R', 'r', 't' };

static void
name_write(struct writer *w, const struct root_name *name)
{
	writer_put(w, magic, sizeof magic);
	writer_u8(w, VERSION);
	writer_u8(w, (uint8_t)name->mode);
	writer_put(w, name->id, sizeof name->id);
	writer_u32(w, name->generation);
}

static hsm_status
mode_served(hsm_mode mode)
{
	return root_mode_served(mode) ? HSM_OK : HSM_E_MODE;
}

static hsm_status
name_read(struct reader *in, struct root_name *name)
{
	const hsm_in title = reader_take(in, sizeof magic);
	const uint8_t version = reader_u8(in), mode = reader_u8(in);

	reader_copy(in, name->id, sizeof name->id);
	name->generation = reader_u32(in);
	if (in->failed || memcmp(title.ptr, magic, sizeof magic) != 0 || version != VERSION || mode > HSM_MODE_LAB)
		return HSM_E_FORMAT;
	name->mode = (hsm_mode)mode;
	return mode_served(name->mode);
}

hsm_status
header_read(hsm_in bytes, struct header *h)
{
	struct reader in;
	hsm_status st;

	*h = (struct header){ .n = 0 };
	reader_init(&in, bytes);
	if ((st = name_read(&in, &h->name)) != HSM_OK)
		return st;
	h->n = reader_u8(&in);
	if (in.failed || h->n == 0 || h->n > HSM_SLOTS_MAX)
		return HSM_E_FORMAT;
	for (unsigned i = 0; i < h->n && !in.failed; i++) {
		struct header_slot *slot = &h->slots[i];

		slot->kind = reader_u8(&in);
		slot->params = reader_block16(&in);
		slot->sealed = reader_block16(&in);
	}
	return in.failed || reader_left(&in) != HEADER_MAC_LEN ? HSM_E_FORMAT : HSM_OK;
}

size_t
header_len(const struct header *h)
{
	size_t len = HEADER_NAME_LEN + 1 + HEADER_MAC_LEN;

	for (unsigned i = 0; i < h->n; i++)
		len += 1 + 2 + h->slots[i].params.len + 2 + h->slots[i].sealed.len;
	return len;
}

static hsm_status
mac_make(const struct root_name *name, const struct secret *root_key, hsm_in covered, uint8_t mac[HEADER_MAC_LEN])
{
	uint8_t key[SEAL_KEY_LEN];
	struct hkey hkey;
	hsm_status st;

	st = seal_derive(root_key, "root header", (hsm_in){ name->id, sizeof name->id }, key, sizeof key);
	if (st == HSM_OK)
		st = hkey_make(&hkey, (hsm_in){ key, sizeof key });
	if (st == HSM_OK)
		st = hkey_mac(&hkey, &covered, 1, mac);
	bytes_wipe(key, sizeof key);
	bytes_wipe(&hkey, sizeof hkey);
	return st;
}

hsm_status
header_write(const struct header *h, const struct secret *root_key, hsm_out *bytes)
{
	struct writer w;

	writer_init(&w, bytes->ptr, bytes->cap);
	name_write(&w, &h->name);
	writer_u8(&w, (uint8_t)h->n);
	for (unsigned i = 0; i < h->n; i++) {
		writer_u8(&w, h->slots[i].kind);
		writer_block16(&w, h->slots[i].params);
		writer_block16(&w, h->slots[i].sealed);
	}
	bytes->len = w.len + HEADER_MAC_LEN;
	return mac_make(&h->name, root_key, (hsm_in){ bytes->ptr, w.len }, bytes->ptr + w.len);
}

hsm_status
header_check(hsm_in bytes, const struct header *h, const struct secret *root_key)
{
	const hsm_in covered = { bytes.ptr, bytes.len - HEADER_MAC_LEN };
	uint8_t mac[HEADER_MAC_LEN];
	hsm_status st;

	if ((st = mac_make(&h->name, root_key, covered, mac)) != HSM_OK)
		return st;
	return bytes_equal_secret(mac, covered.ptr + covered.len, sizeof mac) ? HSM_OK : HSM_E_INTEGRITY;
}

/* What a slot is sealed to: the fixed fields, its kind, its params. */
static hsm_status
slot_context(const struct root_name *name, const struct header_slot *slot, uint8_t room[CONTEXT_MAX], hsm_in *context)
{
	uint8_t digest[32];
	hsm_in params = slot->params;
	hsm_status st = HSM_OK;
	struct writer w;

	if (params.len > PARAMS_SHORT) {
		st = primitive_hash(HSM_SHA256, &slot->params, 1, digest);
		params = (hsm_in){ digest, sizeof digest };
	}
	writer_init(&w, room, CONTEXT_MAX);
	name_write(&w, name);
	writer_u8(&w, slot->kind);
	writer_block16(&w, params);
	*context = (hsm_in){ room, w.len };
	return st;
}

hsm_status
header_slot_seal(const struct root_name *name, const struct secret *slot_key, const struct secret *root_key,
	struct header_slot *slot, uint8_t sealed[HEADER_SEALED_LEN])
{
	hsm_out out = { sealed, HEADER_SEALED_LEN, 0 };
	uint8_t room[CONTEXT_MAX];
	hsm_in context;
	hsm_status st;

	if ((st = slot_context(name, slot, room, &context)) != HSM_OK)
		return st;
	st = seal_close(slot_key, "root slot", context, secret_in(root_key), &out);
	slot->sealed = (hsm_in){ sealed, out.len };
	return st;
}

hsm_status
header_slot_open(const struct root_name *name, const struct secret *slot_key, const struct header_slot *slot, struct secret *root_key)
{
	uint8_t room[CONTEXT_MAX];
	hsm_in context;
	hsm_status st;

	if (slot->sealed.len != HEADER_SEALED_LEN)
		return HSM_E_FORMAT;
	if ((st = slot_context(name, slot, room, &context)) != HSM_OK)
		return st;
	return seal_open(slot_key, "root slot", context, slot->sealed, root_key);
}
