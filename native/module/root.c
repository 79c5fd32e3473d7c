/* The header:
 *
 *   "SRrt" | version 1 | mode | root id 16 | generation u32 | slots n u8
 *   n times: kind u8 | params, u16 length | sealed root key, u16 length
 *   MAC 32
 *
 * A slot's blob is sealed (seal.h) under its slot key, with the fixed fields
 * and the slot's own kind and params as context: mode, id and generation cannot
 * be changed even by somebody who holds no slot key. The MAC, under a key
 * derived from the root, covers all slots together. */
#include "root.h"

#include <pthread.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/state.h"
#include "../crypto/rng.h"
#include "../mech/hkey.h"
#include "gate.h"
#include "partition.h"
#include "seal.h"
#include "unseal.h"

#define VERSION 1u
#define NAME_LEN (4u + 1 + 1 + ROOT_ID_LEN + 4)
#define SLOTS_MAX 16u
#define MAC_LEN 32u
#define SEALED_KEY (SEAL_KEY_LEN + SEAL_OVERHEAD)
#define HEAP 65536u
#define DEPTH 16384u

static const uint8_t magic[4] = { 'S', 'R', 'r', 't' };

struct root {
	uint8_t id[ROOT_ID_LEN];
	uint32_t generation;
	hsm_mode mode;
	const char *unseal;
	struct secret key;
	struct hkey *record;            /* in the arena */
};

static struct root root;                /* closed: key.ptr is NULL */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

/* ---- opening and closing -------------------------------------------------- */

static void
root_wipe(struct root *r)
{
	arena_free(r->record);
	secret_wipe(&r->key);
	memset(r, 0, sizeof *r);
}

/* The arena is not there in a child; neither may the pointers be. */
static void
root_forked(void)
{
	memset(&root, 0, sizeof root);
	lock = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
}

static void
root_watch_fork(void)
{
	(void)pthread_atfork(NULL, NULL, root_forked);
}

static hsm_status
mode_served(hsm_mode mode)
{
#ifdef STRONGROOM_LAB
	return mode == HSM_MODE_PRODUCTION ? HSM_E_MODE : HSM_OK;
#else
	return mode == HSM_MODE_LAB ? HSM_E_MODE : HSM_OK;
#endif
}

static hsm_status
record_key(struct root *r)
{
	uint8_t key[SEAL_KEY_LEN];
	hsm_status st;

	if ((r->record = arena_alloc(sizeof *r->record)) == NULL)
		return HSM_E_MEMORY;
	st = seal_derive(&r->key, "record", (hsm_in){ r->id, sizeof r->id }, key, sizeof key);
	if (st == HSM_OK)
		st = hkey_make(r->record, (hsm_in){ key, sizeof key });
	bytes_wipe(key, sizeof key);
	return st;
}

static hsm_status
header_mac(const struct root *r, hsm_in covered, uint8_t mac[MAC_LEN])
{
	uint8_t key[SEAL_KEY_LEN];
	struct hkey hkey;
	hsm_status st;

	st = seal_derive(&r->key, "root header", (hsm_in){ r->id, sizeof r->id }, key, sizeof key);
	if (st == HSM_OK)
		st = hkey_make(&hkey, (hsm_in){ key, sizeof key });
	if (st == HSM_OK)
		st = hkey_mac(&hkey, &covered, 1, mac);
	bytes_wipe(key, sizeof key);
	bytes_wipe(&hkey, sizeof hkey);
	return st;
}

/* Takes `r` over. The same root opened twice is fine. */
static hsm_status
root_install(struct root *r)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	hsm_status st = HSM_OK;

	pthread_once(&once, root_watch_fork);
	pthread_rwlock_wrlock(&lock);
	if (root.key.ptr == NULL) {
		root = *r;
		memset(r, 0, sizeof *r);
	} else if (memcmp(root.id, r->id, sizeof r->id) != 0 || root.generation != r->generation) {
		st = HSM_E_EXISTS;
	}
	pthread_rwlock_unlock(&lock);
	return st;
}

/* ---- the header ----------------------------------------------------------- */

struct slot_view { hsm_in params, sealed; uint8_t kind; };

/* What a slot is sealed to: the fixed fields, its kind, its params. */
static hsm_in
slot_context(hsm_in name, uint8_t kind, hsm_in params, uint8_t room[NAME_LEN + 1 + 2 + UNSEAL_PARAMS_MAX])
{
	struct writer w;

	writer_init(&w, room, NAME_LEN + 1 + 2 + UNSEAL_PARAMS_MAX);
	writer_put(&w, name.ptr, name.len);
	writer_u8(&w, kind);
	writer_block16(&w, params);
	return (hsm_in){ room, w.len };
}

static void
name_write(struct writer *w, const struct root *r)
{
	writer_put(w, magic, sizeof magic);
	writer_u8(w, VERSION);
	writer_u8(w, (uint8_t)r->mode);
	writer_put(w, r->id, sizeof r->id);
	writer_u32(w, r->generation);
}

static hsm_status
name_read(struct reader *in, struct root *r)
{
	const hsm_in title = reader_take(in, sizeof magic);
	const uint8_t version = reader_u8(in), mode = reader_u8(in);

	reader_copy(in, r->id, sizeof r->id);
	r->generation = reader_u32(in);
	if (in->failed || memcmp(title.ptr, magic, sizeof magic) != 0 || version != VERSION || mode > HSM_MODE_LAB)
		return HSM_E_FORMAT;
	r->mode = (hsm_mode)mode;
	return mode_served(r->mode);
}

/* Walks all slots, so that what the MAC covers is well formed, and keeps the
 * first of the wanted kind. Kinds we do not know are somebody else's. */
static hsm_status
slots_read(struct reader *in, uint8_t wanted, struct slot_view *found)
{
	const uint8_t n = reader_u8(in);

	*found = (struct slot_view){ .kind = 0 };
	for (unsigned i = 0; i < n && !in->failed; i++) {
		struct slot_view slot = { .kind = reader_u8(in) };

		slot.params = reader_block16(in);
		slot.sealed = reader_block16(in);
		if (found->kind == 0 && slot.kind == wanted)
			*found = slot;
	}
	if (in->failed || n == 0 || n > SLOTS_MAX || reader_left(in) != MAC_LEN)
		return HSM_E_FORMAT;
	return found->kind == wanted ? HSM_OK : HSM_E_ROOT;
}

/* ---- making --------------------------------------------------------------- */

struct create { hsm_mode mode; const struct unseal_kind *kind; const char *path; hsm_out *header; };

static size_t
header_len(const struct unseal_kind *kind)
{
	return NAME_LEN + 1 + (1 + 2 + kind->params_len + 2 + SEALED_KEY) + MAC_LEN;
}

static hsm_status
header_write(const struct root *r, const struct unseal_kind *kind, hsm_in params, const struct secret *slot_key, hsm_out *header)
{
	uint8_t room[NAME_LEN + 1 + 2 + UNSEAL_PARAMS_MAX], sealed[SEALED_KEY];
	hsm_out out = { sealed, sizeof sealed, 0 };
	struct writer w;
	hsm_in context;
	hsm_status st;

	writer_init(&w, header->ptr, header->cap);
	name_write(&w, r);
	context = slot_context((hsm_in){ header->ptr, NAME_LEN }, kind->number, params, room);
	if ((st = seal_close(slot_key, "root slot", context, secret_in(&r->key), &out)) != HSM_OK)
		return st;
	writer_u8(&w, 1);
	writer_u8(&w, kind->number);
	writer_block16(&w, params);
	writer_block16(&w, (hsm_in){ sealed, out.len });
	header->len = w.len + MAC_LEN;
	return header_mac(r, (hsm_in){ header->ptr, w.len }, header->ptr + w.len);
}

static hsm_status
create(void *arg)
{
	struct create *c = arg;
	uint8_t params[UNSEAL_PARAMS_MAX] = { 0 };
	struct secret slot_key = SECRET_NONE;
	struct root r = { .generation = 1, .mode = c->mode, .unseal = c->kind->name };
	bool made = false;
	hsm_status st;

	if ((st = rng_bytes(r.id, sizeof r.id)) != HSM_OK)
		goto out;
	if ((st = secret_alloc(&r.key, SEAL_KEY_LEN)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(r.key.ptr, r.key.len)) != HSM_OK)
		goto out;
	if ((st = record_key(&r)) != HSM_OK)
		goto out;
	if ((st = c->kind->make(c->path, r.id, params, &slot_key)) != HSM_OK)
		goto out;
	made = true;
	if ((st = header_write(&r, c->kind, (hsm_in){ params, c->kind->params_len }, &slot_key, c->header)) != HSM_OK)
		goto out;
	st = root_install(&r);
out:
	if (st != HSM_OK && made && c->kind->undo != NULL)
		c->kind->undo(c->path);
	secret_wipe(&slot_key);
	root_wipe(&r);
	return st;
}

hsm_status
hsm_root_create(hsm_mode mode, hsm_unseal how, const char *path, hsm_out *header)
{
	struct create c = { .mode = mode, .kind = unseal_kind_find(how), .path = path, .header = header };
	struct root_info now;
	hsm_status st;

	root_describe(&now);
	if (c.kind == NULL || path == NULL || mode > HSM_MODE_LAB)
		st = HSM_E_ARGS;
	else if (now.unsealed)
		st = HSM_E_EXISTS;
	else
		st = mode_served(mode);
	if (st != HSM_OK)
		goto out;
	if ((st = out_need(header, header_len(c.kind))) != HSM_OK || header->ptr == NULL)
		return st;
	st = gate_call(create, &c, HEAP, DEPTH);
out:
	if (st != HSM_OK)
		header->len = 0;
	return st;
}

/* ---- opening -------------------------------------------------------------- */

struct open { hsm_in header; const struct unseal_kind *kind; const char *path; };

static hsm_status
unseal(const struct open *o, const struct slot_view *slot, struct root *r)
{
	uint8_t room[NAME_LEN + 1 + 2 + UNSEAL_PARAMS_MAX], mac[MAC_LEN];
	const hsm_in covered = { o->header.ptr, o->header.len - MAC_LEN };
	struct secret slot_key = SECRET_NONE;
	hsm_in context;
	hsm_status st;

	if ((st = o->kind->find(o->path, r->id, slot->params, &slot_key)) != HSM_OK)
		goto out;
	context = slot_context((hsm_in){ o->header.ptr, NAME_LEN }, slot->kind, slot->params, room);
	if ((st = seal_open(&slot_key, "root slot", context, slot->sealed, &r->key)) != HSM_OK) {
		st = st == HSM_E_INTEGRITY ? o->kind->wrong : st;
		goto out;
	}
	if ((st = header_mac(r, covered, mac)) != HSM_OK)
		goto out;
	if (!bytes_equal_secret(mac, covered.ptr + covered.len, MAC_LEN))
		st = HSM_E_INTEGRITY;
out:
	secret_wipe(&slot_key);
	return st;
}

static hsm_status
open_root(void *arg)
{
	const struct open *o = arg;
	struct root r = { .unseal = o->kind->name };
	struct slot_view slot;
	struct reader in;
	hsm_status st;

	reader_init(&in, o->header);
	if ((st = name_read(&in, &r)) != HSM_OK)
		goto out;
	if ((st = slots_read(&in, o->kind->number, &slot)) != HSM_OK)
		goto out;
	st = HSM_E_FORMAT;
	if (slot.params.len != o->kind->params_len || slot.sealed.len != SEALED_KEY)
		goto out;
	if ((st = unseal(o, &slot, &r)) != HSM_OK)
		goto out;
	if ((st = record_key(&r)) != HSM_OK)
		goto out;
	st = root_install(&r);
out:
	root_wipe(&r);
	return st;
}

hsm_status
hsm_root_open(hsm_in header, hsm_unseal how, const char *path)
{
	struct open o = { .header = header, .kind = unseal_kind_find(how), .path = path };

	if (o.kind == NULL || path == NULL)
		return HSM_E_ARGS;
	return gate_call(open_root, &o, HEAP, DEPTH);
}

void
hsm_root_close(void)
{
	partition_close_sealed();
	pthread_rwlock_wrlock(&lock);
	root_wipe(&root);
	pthread_rwlock_unlock(&lock);
}

/* ---- what the root does --------------------------------------------------- */

void
root_describe(struct root_info *info)
{
	pthread_rwlock_rdlock(&lock);
	*info = (struct root_info){ .unsealed = root.key.ptr != NULL, .mode = root.mode,
	                            .unseal = root.key.ptr == NULL ? "" : root.unseal, .generation = root.generation };
	memcpy(info->id, root.id, sizeof root.id);
	pthread_rwlock_unlock(&lock);
}

hsm_status
root_seal(const char *label, hsm_in context, hsm_in clear, hsm_out *sealed)
{
	hsm_status st = HSM_E_SEALED;

	pthread_rwlock_rdlock(&lock);
	if (root.key.ptr != NULL)
		st = seal_close(&root.key, label, context, clear, sealed);
	pthread_rwlock_unlock(&lock);
	return st;
}

hsm_status
root_unseal(const char *label, hsm_in context, hsm_in sealed, struct secret *clear)
{
	hsm_status st = HSM_E_SEALED;

	*clear = SECRET_NONE;
	pthread_rwlock_rdlock(&lock);
	if (root.key.ptr != NULL)
		st = seal_open(&root.key, label, context, sealed, clear);
	pthread_rwlock_unlock(&lock);
	return st;
}

hsm_status
root_mac(const hsm_in *parts, size_t n, uint8_t mac[32])
{
	hsm_status st = HSM_E_SEALED;

	pthread_rwlock_rdlock(&lock);
	if (root.key.ptr != NULL)
		st = hkey_mac(root.record, parts, n, mac);
	pthread_rwlock_unlock(&lock);
	return st;
}
