/* root.c - the root key: made, opened, closed, and what it does. What lies at
 * rest is root_header.c's, where slot keys come from unseal.c's. */
#include "root.h"

#include <pthread.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/state.h"
#include "../crypto/rng.h"
#include "../mech/hkey.h"
#include "gate.h"
#include "partition.h"
#include "root_header.h"
#include "unseal.h"
#include "votes.h"

#define HEAP 65536u
#define DEPTH 24576u

struct root {
	struct root_name name;
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

bool
root_mode_served(hsm_mode mode)
{
#ifdef STRONGROOM_LAB
	return mode != HSM_MODE_PRODUCTION;
#else
	return mode != HSM_MODE_LAB;
#endif
}

static hsm_status
record_key(struct root *r)
{
	uint8_t key[SEAL_KEY_LEN];
	hsm_status st;

	if ((r->record = arena_alloc(sizeof *r->record)) == NULL)
		return HSM_E_MEMORY;
	st = seal_derive(&r->key, "record", (hsm_in){ r->name.id, sizeof r->name.id }, key, sizeof key);
	if (st == HSM_OK)
		st = hkey_make(r->record, (hsm_in){ key, sizeof key });
	bytes_wipe(key, sizeof key);
	return st;
}

static bool
name_same(const struct root_name *a, const struct root_name *b)
{
	return memcmp(a->id, b->id, sizeof a->id) == 0 && a->generation == b->generation && a->mode == b->mode;
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
	} else if (!name_same(&root.name, &r->name)) {
		st = HSM_E_EXISTS;
	}
	pthread_rwlock_unlock(&lock);
	return st;
}

/* ---- slots ---------------------------------------------------------------- */

/* A slot that is being made, and the room for what it is made of. */
struct fresh_slot { uint8_t params[UNSEAL_PARAMS_MAX], sealed[HEADER_SEALED_LEN]; bool made; };

static const hsm_slot no_slot;

static hsm_status
slot_check(const hsm_slot *slot, const struct unseal_kind **kind)
{
	if ((*kind = unseal_kind_find(slot->how)) == NULL)
		return HSM_E_ARGS;
	return (*kind)->check(slot);
}

/* Room for the shares, where there are any. `asks`: only the size was wanted. */
static hsm_status
shares_room(const hsm_slot *slot, hsm_out *shares, bool *asks)
{
	hsm_status st;

	if (slot->how != HSM_UNSEAL_SHARES)
		return HSM_OK;
	if (shares == NULL)
		return HSM_E_ARGS;
	if ((st = out_need(shares, (size_t)slot->count * (HSM_SHARE_TEXT + 1))) == HSM_OK && shares->ptr == NULL)
		*asks = true;
	return st;
}

static hsm_status
slot_make(const struct unseal_kind *kind, const struct unseal_ask *ask, const struct root *r, struct fresh_slot *room, struct header_slot *slot)
{
	struct secret slot_key = SECRET_NONE;
	hsm_status st;

	*slot = (struct header_slot){ .kind = kind->number, .params = { room->params, kind->params_len(ask->slot) } };
	if ((st = kind->make(ask, room->params, &slot_key)) == HSM_OK) {
		room->made = true;
		st = header_slot_seal(&r->name, &slot_key, &r->key, slot, room->sealed);
	}
	secret_wipe(&slot_key);
	return st;
}

static void
slot_undo(const struct unseal_kind *kind, const hsm_slot *slot, const struct fresh_slot *room, hsm_out *shares)
{
	if (room->made && kind->undo != NULL)
		kind->undo(slot);
	if (slot->how == HSM_UNSEAL_SHARES)
		bytes_wipe(shares->ptr, shares->cap);
}

/* Both results are empty on every failure but one. */
static hsm_status
pair_settle(hsm_out *shares, hsm_out *header, hsm_status st)
{
	if (st != HSM_OK && st != HSM_E_BUFFER) {
		header->len = 0;
		if (shares != NULL)
			shares->len = 0;
	}
	return st;
}

/* ---- making --------------------------------------------------------------- */

struct create { hsm_mode mode; const struct unseal_kind *kind; const hsm_slot *slot; hsm_out *shares, *header; };

static hsm_status
create(void *arg)
{
	struct create *c = arg;
	struct root r = { .name = { .generation = 1, .mode = c->mode }, .unseal = c->kind->name };
	const struct unseal_ask ask = { c->slot, r.name.id, c->shares };
	struct header h = { .n = 1 };
	struct fresh_slot room = { .made = false };
	hsm_status st;

	if ((st = rng_bytes(r.name.id, sizeof r.name.id)) != HSM_OK)
		goto out;
	if ((st = secret_alloc(&r.key, SEAL_KEY_LEN)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(r.key.ptr, r.key.len)) != HSM_OK)
		goto out;
	if ((st = record_key(&r)) != HSM_OK)
		goto out;
	if ((st = slot_make(c->kind, &ask, &r, &room, &h.slots[0])) != HSM_OK)
		goto out;
	h.name = r.name;
	if ((st = header_write(&h, &r.key, c->header)) != HSM_OK)
		goto out;
	st = root_install(&r);
out:
	if (st != HSM_OK)
		slot_undo(c->kind, c->slot, &room, c->shares);
	root_wipe(&r);
	return st;
}

static hsm_status
create_check(struct create *c)
{
	struct root_info now;
	hsm_status st;

	root_describe(&now);
	if (c->mode > HSM_MODE_LAB)
		return HSM_E_ARGS;
	if ((st = slot_check(c->slot, &c->kind)) != HSM_OK)
		return st;
	if (now.unsealed)
		return HSM_E_EXISTS;
	return root_mode_served(c->mode) ? HSM_OK : HSM_E_MODE;
}

hsm_status
hsm_root_make(hsm_mode mode, const hsm_slot *slot, hsm_out *shares, hsm_out *header)
{
	struct create c = { .mode = mode, .slot = slot != NULL ? slot : &no_slot, .shares = shares, .header = header };
	bool asks = header->ptr == NULL;
	hsm_status st;

	if ((st = create_check(&c)) != HSM_OK)
		goto out;
	if ((st = shares_room(c.slot, shares, &asks)) != HSM_OK)
		goto out;
	st = out_need(header, HEADER_NAME_LEN + 1 + (1 + 2 + c.kind->params_len(c.slot) + 2 + HEADER_SEALED_LEN) + HEADER_MAC_LEN);
	if (st != HSM_OK || asks)
		return st;
	st = gate_call(create, &c, HEAP, DEPTH);
out:
	return pair_settle(shares, header, st);
}

hsm_status
hsm_root_create(hsm_mode mode, hsm_unseal how, const char *path, hsm_out *header)
{
	const hsm_slot slot = { .how = how, .path = path };

	if (how != HSM_UNSEAL_KEYFILE && how != HSM_UNSEAL_PASSPHRASE) {
		header->len = 0;
		return HSM_E_ARGS;
	}
	return hsm_root_make(mode, &slot, NULL, header);
}

/* ---- opening -------------------------------------------------------------- */

/* The key is this root's: the MAC says so of all slots together. */
static hsm_status
root_take(hsm_in bytes, const struct header *h, struct root *r)
{
	hsm_status st;

	r->name = h->name;
	if ((st = header_check(bytes, h, &r->key)) != HSM_OK)
		return st;
	if ((st = record_key(r)) != HSM_OK)
		return st;
	return root_install(r);
}

struct open { hsm_in bytes; const struct unseal_kind *kind; const hsm_slot *slot; };

/* Of several slots of the kind, any. What the last one said stays. */
static hsm_status
open_root(void *arg)
{
	const struct open *o = arg;
	struct root r = { .unseal = o->kind->name };
	struct secret slot_key = SECRET_NONE;
	struct unseal_ask ask = { .slot = o->slot };
	struct header h;
	hsm_status st;

	if ((st = header_read(o->bytes, &h)) != HSM_OK)
		return st;
	ask.root_id = h.name.id;
	st = HSM_E_ROOT;
	for (unsigned i = 0; i < h.n && r.key.ptr == NULL; i++) {
		if (h.slots[i].kind != o->kind->number)
			continue;
		if ((st = o->kind->find(&ask, h.slots[i].params, &slot_key)) == HSM_OK
		    && (st = header_slot_open(&h.name, &slot_key, &h.slots[i], &r.key)) == HSM_E_INTEGRITY)
			st = o->kind->wrong;
		secret_wipe(&slot_key);
	}
	if (st == HSM_OK)
		st = root_take(o->bytes, &h, &r);
	root_wipe(&r);
	return st;
}

hsm_status
hsm_root_open_slot(hsm_in header, const hsm_slot *slot)
{
	struct open o = { .bytes = header, .slot = slot };

	if (slot == NULL || slot->path == NULL || (o.kind = unseal_kind_find(slot->how)) == NULL || o.kind->find == NULL)
		return HSM_E_ARGS;
	return gate_call(open_root, &o, HEAP, DEPTH);
}

hsm_status
hsm_root_open(hsm_in header, hsm_unseal how, const char *path)
{
	const hsm_slot slot = { .how = how, .path = path };

	return hsm_root_open_slot(header, &slot);
}

static const struct header_slot *
set_find(const struct header *h, const uint8_t set[8])
{
	uint8_t here[8], threshold;

	for (unsigned i = 0; i < h->n; i++) {
		const struct unseal_kind *kind = unseal_kind_numbered(h->slots[i].kind);

		if (kind != NULL && kind->how == HSM_UNSEAL_SHARES && unseal_set(h->slots[i].params, here, &threshold) == HSM_OK
		    && memcmp(here, set, sizeof here) == 0)
			return &h->slots[i];
	}
	return NULL;
}

hsm_status
root_has_set(hsm_in bytes, const uint8_t set[8], uint8_t threshold)
{
	const struct header_slot *slot;
	uint8_t here[8], said;
	struct header h;
	hsm_status st;

	if ((st = header_read(bytes, &h)) != HSM_OK)
		return st;
	if ((slot = set_find(&h, set)) == NULL || unseal_set(slot->params, here, &said) != HSM_OK || said != threshold)
		return HSM_E_ROOT;
	return HSM_OK;
}

/* Is it the key that is open? */
static hsm_status
root_compare(const struct root *r)
{
	hsm_status st = HSM_E_SEALED;

	pthread_rwlock_rdlock(&lock);
	if (root.key.ptr != NULL)
		st = bytes_equal_secret(root.key.ptr, r->key.ptr, SEAL_KEY_LEN) ? HSM_OK : HSM_E_ROOT;
	pthread_rwlock_unlock(&lock);
	return st;
}

hsm_status
root_open_set(hsm_in bytes, const uint8_t set[8], const struct secret *slot_key, bool only_check)
{
	struct root r = { .unseal = "shares" };
	const struct header_slot *slot;
	struct header h;
	hsm_status st;

	if ((st = header_read(bytes, &h)) != HSM_OK)
		return st;
	if ((slot = set_find(&h, set)) == NULL)
		return HSM_E_ROOT;
	if ((st = header_slot_open(&h.name, slot_key, slot, &r.key)) != HSM_OK)
		return st == HSM_E_INTEGRITY ? HSM_E_PIN : st;
	if (!only_check)
		st = root_take(bytes, &h, &r);
	else if ((st = header_check(bytes, &h, &r.key)) == HSM_OK)
		st = root_compare(&r);
	root_wipe(&r);
	return st;
}

/* ---- changing slots -------------------------------------------------------- */

struct change { hsm_in bytes; const struct unseal_kind *kind; const hsm_slot *slot; uint32_t without; hsm_out *shares, *fresh; };

/* A copy of the open root's key, where the header is the open root's. */
static hsm_status
root_copy(hsm_in bytes, const struct header *h, struct root *r)
{
	hsm_status st = HSM_E_SEALED;

	pthread_rwlock_rdlock(&lock);
	if (root.key.ptr != NULL) {
		r->name = root.name;
		st = secret_copy(&r->key, secret_in(&root.key));
	}
	pthread_rwlock_unlock(&lock);
	if (st != HSM_OK)
		return st;
	return name_same(&h->name, &r->name) ? header_check(bytes, h, &r->key) : HSM_E_ROOT;
}

static hsm_status
slot_add(void *arg)
{
	const struct change *c = arg;
	struct root r = { .unseal = "" };
	const struct unseal_ask ask = { c->slot, r.name.id, c->shares };
	struct fresh_slot room = { .made = false };
	struct header h;
	hsm_status st;

	if ((st = header_read(c->bytes, &h)) != HSM_OK || (st = root_copy(c->bytes, &h, &r)) != HSM_OK)
		goto out;
	st = HSM_E_LIMIT;
	if (h.n == HSM_SLOTS_MAX)
		goto out;
	if ((st = slot_make(c->kind, &ask, &r, &room, &h.slots[h.n])) != HSM_OK)
		goto out;
	h.n++;
	st = header_write(&h, &r.key, c->fresh);
out:
	if (st != HSM_OK)
		slot_undo(c->kind, c->slot, &room, c->shares);
	root_wipe(&r);
	return st;
}

static hsm_status
slot_remove(void *arg)
{
	const struct change *c = arg;
	struct root r = { .unseal = "" };
	struct header h;
	hsm_status st;

	if ((st = header_read(c->bytes, &h)) != HSM_OK || (st = root_copy(c->bytes, &h, &r)) != HSM_OK)
		goto out;
	st = h.n == 1 ? HSM_E_LIMIT : HSM_E_ARGS;
	if (h.n == 1 || c->without >= h.n)
		goto out;
	h.n--;
	for (unsigned i = c->without; i < h.n; i++)
		h.slots[i] = h.slots[i + 1];
	st = header_write(&h, &r.key, c->fresh);
out:
	root_wipe(&r);
	return st;
}

/* At most this much: an asker is told what surely is enough. */
static hsm_status
change_call(hsm_status (*call)(void *arg), struct change *c, size_t more, bool asks)
{
	hsm_status st = out_need(c->fresh, c->bytes.len + more);

	if (st != HSM_OK || asks || c->fresh->ptr == NULL)
		return st;
	return gate_call(call, c, HEAP, DEPTH);
}

hsm_status
hsm_root_slot_add(hsm_in header, const hsm_slot *slot, hsm_out *shares, hsm_out *fresh)
{
	struct change c = { .bytes = header, .slot = slot != NULL ? slot : &no_slot, .shares = shares, .fresh = fresh };
	bool asks = fresh->ptr == NULL;
	hsm_status st;

	if ((st = slot_check(c.slot, &c.kind)) == HSM_OK && (st = shares_room(c.slot, shares, &asks)) == HSM_OK)
		st = change_call(slot_add, &c, 1 + 2 + c.kind->params_len(c.slot) + 2 + HEADER_SEALED_LEN, asks);
	return pair_settle(shares, fresh, st);
}

hsm_status
hsm_root_slot_remove(hsm_in header, uint32_t i, hsm_out *fresh)
{
	struct change c = { .bytes = header, .without = i, .fresh = fresh };

	return pair_settle(NULL, fresh, change_call(slot_remove, &c, 0, false));
}

struct telling { hsm_in bytes; uint32_t i; hsm_slot_info *info; hsm_out *note; };

static hsm_status
slot_tell(void *arg)
{
	const struct telling *t = arg;
	const struct unseal_kind *kind;
	hsm_in note = HSM_NONE;
	struct header h;
	hsm_status st;

	if ((st = header_read(t->bytes, &h)) != HSM_OK)
		return st;
	if (t->i >= h.n)
		return HSM_E_ARGS;
	*t->info = (hsm_slot_info){ .how = HSM_UNSEAL_UNKNOWN };
	if ((kind = unseal_kind_numbered(h.slots[t->i].kind)) != NULL) {
		t->info->how = kind->how;
		if ((st = kind->tell(h.slots[t->i].params, t->info, &note)) != HSM_OK)
			return st;
	}
	if ((st = out_need(t->note, note.len)) == HSM_OK && t->note->ptr != NULL && note.len != 0)
		memcpy(t->note->ptr, note.ptr, note.len);
	return st;
}

hsm_status
hsm_root_slot_at(hsm_in header, uint32_t i, hsm_slot_info *info, hsm_out *note)
{
	struct telling t = { header, i, info, note };
	const hsm_status st = gate_call(slot_tell, &t, 0, DEPTH);

	if (st != HSM_OK && st != HSM_E_BUFFER)
		note->len = 0;
	return st;
}

void
hsm_root_close(void)
{
	votes_forget();
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
	*info = (struct root_info){ .unsealed = root.key.ptr != NULL, .mode = root.name.mode,
	                            .unseal = root.key.ptr == NULL ? "" : root.unseal, .generation = root.name.generation };
	memcpy(info->id, root.name.id, sizeof root.name.id);
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
