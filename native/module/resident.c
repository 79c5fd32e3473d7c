/* resident.c - see resident.h. */
#include "resident.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../crypto/rng.h"
#include "code.h"
#include "gate.h"
#include "object.h"
#include "seal.h"

#define SEAL_HEAP 4096u                 /* what sealing takes beside the bytes */
#define SEAL_DEPTH 16384u
#define CONTEXT_MAX (1u + 3u * (2u + BINDING_MAX))
#define EVICT_MOST 16u

static struct secret boot;              /* of this process alone */
static _Atomic uint64_t residents;

static pthread_mutex_t hand_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t hand;                   /* of the clock */
static _Thread_local bool evicting;

/* ---- what a seal is bound to ------------------------------------------------------- */

struct context { uint8_t bytes[CONTEXT_MAX]; size_t len; };

static void
context_names(struct context *c, const struct object *o, bool open, hsm_binding names)
{
	struct writer w;

	writer_init(&w, c->bytes, sizeof c->bytes);
	writer_u8(&w, open);
	writer_block16(&w, partition_account(o->part));
	writer_block16(&w, names.object_id);
	writer_block16(&w, names.material_id);
	c->len = w.len;
}

static void
context_handle(struct context *c, const struct object *o)
{
	struct writer w;

	writer_init(&w, c->bytes, sizeof c->bytes);
	writer_u64(&w, o->handle);
	c->len = w.len;
}

static hsm_in
context_in(const struct context *c)
{
	return (hsm_in){ c->bytes, c->len };
}

/* ---- coming -------------------------------------------------------------------------- */

struct coming {
	struct object *o;
	struct secret key, clear;
	hsm_in material;                /* of clear, or the caller's */
	uint32_t type;
	enum key_part part;
};

static enum key_part
part_of(uint32_t klass)
{
	return klass == HSM_CLASS_SECRET ? PART_SECRET : klass == HSM_CLASS_PRIVATE ? PART_PRIVATE : PART_PUBLIC;
}

static bool
klass_keyed(uint32_t klass)
{
	return klass == HSM_CLASS_SECRET || klass == HSM_CLASS_PRIVATE || klass == HSM_CLASS_PUBLIC;
}

static hsm_status
come_key(void *arg)
{
	struct coming *c = arg;

	return key_load(&c->o->key, c->type, c->part, c->material);
}

static hsm_status
settle(struct object *o, uint32_t klass, uint32_t type, hsm_in material)
{
	struct coming c = { .o = o, .material = material, .type = type, .part = part_of(klass) };
	const struct kind *kind = kind_find(type);

	o->key = (struct key){ .part = c.part, .spec.type = type };
	if (!klass_keyed(klass))
		return HSM_OK;
	if (kind == NULL)
		return HSM_E_KEY_TYPE;
	return gate_run_keep(come_key, &c, kind->heap + material.len, kind->heap + material.len, kind->depth);
}

static void
present(struct object *o)
{
	atomic_fetch_add_explicit(&residents, 1, memory_order_relaxed);
	atomic_store_explicit(&o->warm, true, memory_order_relaxed);
	atomic_store(&o->residency, PRESENT);
}

hsm_status
resident_settle(struct object *o, uint32_t klass, uint32_t type, struct secret *material)
{
	hsm_status st;

	if ((st = settle(o, klass, type, secret_in(material))) != HSM_OK)
		return st;
	secret_move(&o->material, material);
	present(o);
	return HSM_OK;
}

static hsm_status
come_clear(void *arg)
{
	struct coming *c = arg;
	struct object *o = c->o;
	struct context context;
	hsm_in sealed = { o->sealed, o->sealed_len };

	if (o->own_seal) {
		context_handle(&context, o);
		return seal_open(&boot, "process", context_in(&context), sealed, &c->clear);
	}
	context_names(&context, o, sealed.ptr[0] == 1, object_binding(o));
	return seal_open(&c->key, "object", context_in(&context), (hsm_in){ sealed.ptr + 1, sealed.len - 1 }, &c->clear);
}

/* The key is fetched before the stack is entered: whoever guards it may be
 * waiting for a stack. */
static hsm_status
come_open(struct coming *c)
{
	struct object *o = c->o;
	hsm_status st = HSM_OK;

	if (o->sealed == NULL)
		return HSM_E_HANDLE;
	if (!o->own_seal)
		st = partition_seal_key(o->part, o->sealed[0] == 0, &c->key);
	if (st == HSM_OK)
		st = gate_run(come_clear, c, o->sealed_len + SEAL_HEAP, SEAL_DEPTH);
	secret_wipe(&c->key);
	return st;
}

/* Under the lock. The record stays once it was read: it is no secret, and a
 * change of attributes since then must not be undone by loading again. */
static hsm_status
load(struct object *o)
{
	struct coming c = { .o = o };
	struct facts *read = NULL, *facts = atomic_load(&o->facts);
	struct secret material = SECRET_NONE;
	hsm_status st;

	if ((st = come_open(&c)) != HSM_OK)
		return st;
	if ((st = object_decode(secret_in(&c.clear), &read, &c.material)) != HSM_OK)
		goto out;
	if (facts == NULL)
		facts = read;
	if (facts == NULL || (!o->own_seal && (facts->flags & FACT_PRIVATE) != 0 && o->sealed[0] == 1)) {
		st = HSM_E_FORMAT;
		goto out;
	}
	if (c.material.len != 0 && (st = gate_copy(&material, c.material)) != HSM_OK)
		goto out;
	if ((st = settle(o, facts->klass, facts->spec.type, secret_in(&material))) != HSM_OK)
		goto out;
	secret_move(&o->material, &material);
	if (facts == read) {
		atomic_store(&o->facts, facts);
		index_place(o->index, o->handle, o->part, facts);
		read = NULL;
	}
	present(o);
out:
	secret_wipe(&material);
	secret_wipe(&c.clear);
	facts_free(read);
	return st;
}

hsm_status
resident_load(struct object *o)
{
	hsm_status st = HSM_OK;

	if (atomic_load(&o->residency) == PRESENT)
		return HSM_OK;
	pthread_mutex_lock(&o->lock);
	if (atomic_load(&o->residency) != PRESENT)
		st = load(o);
	pthread_mutex_unlock(&o->lock);
	return st;
}

/* ---- going ----------------------------------------------------------------------------- */

void
resident_wipe(struct object *o)
{
	if (atomic_load(&o->residency) == ABSENT)
		return;
	key_unload(&o->key);
	secret_wipe(&o->material);
	atomic_fetch_sub_explicit(&residents, 1, memory_order_relaxed);
	atomic_store(&o->residency, ABSENT);
}

struct sealing {
	struct object *o;
	const struct facts *facts;      /* NULL: material alone, under the process's key */
	hsm_binding names;
	struct secret key;
	hsm_out *out;
};

static hsm_status
seal_clear(const struct sealing *s, struct secret *clear)
{
	hsm_out out = { NULL, 0, 0 };
	hsm_status st;

	if ((st = object_encode(s->facts, secret_in(&s->o->material), &out)) != HSM_OK)
		return st;
	if ((st = secret_alloc(clear, out.len)) != HSM_OK)
		return st;
	out = (hsm_out){ clear->ptr, clear->len, 0 };
	return object_encode(s->facts, secret_in(&s->o->material), &out);
}

static hsm_status
seal_own(void *arg)
{
	struct sealing *s = arg;
	struct secret clear = SECRET_NONE;
	struct context context;
	hsm_status st;

	context_handle(&context, s->o);
	if ((st = seal_clear(s, &clear)) == HSM_OK)
		st = seal_close(&boot, "process", context_in(&context), secret_in(&clear), s->out);
	secret_wipe(&clear);
	return st;
}

/* Under the lock: give a key that was made here a sealed form to come back
 * from. */
static bool
seal_for_leaving(struct object *o)
{
	size_t len = o->material.len + 16 + SEAL_OVERHEAD;
	hsm_out out = { malloc(len), len, 0 };
	struct sealing s = { .o = o, .out = &out };

	if (out.ptr == NULL)
		return false;
	if (gate_run(seal_own, &s, len + SEAL_HEAP, SEAL_DEPTH) != HSM_OK) {
		free(out.ptr);
		return false;
	}
	o->sealed = out.ptr;
	o->sealed_len = out.len;
	o->own_seal = true;
	return true;
}

/* With a loan in hand, the only one there may be. */
static bool
leave(struct object *o)
{
	bool gone = false;

	if (pthread_mutex_trylock(&o->lock) != 0)
		return false;
	if (atomic_load(&o->residency) != PRESENT || object_loans(o) != 1)
		goto out;
	if (o->sealed == NULL && !seal_for_leaving(o))
		goto out;
	atomic_store(&o->residency, LEAVING);
	if (object_loans(o) != 1) {
		atomic_store(&o->residency, PRESENT);
		goto out;
	}
	resident_wipe(o);
	gone = true;
out:
	pthread_mutex_unlock(&o->lock);
	return gone;
}

/* One turn of the hand: a key that was used since the last turn stays. */
static bool
turn(uint32_t span)
{
	struct object *o;
	bool gone = false;

	hand = hand + 1 >= span ? 0 : hand + 1;
	if ((o = object_at(hand)) == NULL)
		return false;
	if (atomic_load(&o->residency) == PRESENT && !atomic_exchange_explicit(&o->warm, false, memory_order_relaxed))
		gone = leave(o);
	object_release(o);
	return gone;
}

bool
resident_evict(size_t want)
{
	size_t before, gone = 0;
	uint32_t span = object_span();
	struct arena_info info;

	if (evicting || span == 0)
		return false;
	arena_describe(&info);
	before = info.used;
	pthread_mutex_lock(&hand_lock);
	evicting = true;
	for (uint64_t i = 0; i < 2 * (uint64_t)span + 2 && gone < EVICT_MOST; i++) {
		if (!turn(span))
			continue;
		gone++;
		arena_describe(&info);
		if (info.used + want <= before)
			break;
	}
	evicting = false;
	pthread_mutex_unlock(&hand_lock);
	return gone != 0;
}

/* ---- at rest ------------------------------------------------------------------------------ */

static hsm_status
seal_names(void *arg)
{
	struct sealing *s = arg;
	struct secret clear = SECRET_NONE;
	bool priv = (s->facts->flags & FACT_PRIVATE) != 0;
	hsm_out body = { s->out->ptr + 1, s->out->cap - 1, 0 };
	struct context context;
	hsm_status st;

	context_names(&context, s->o, !priv, s->names);
	if ((st = seal_clear(s, &clear)) == HSM_OK)
		st = seal_close(&s->key, "object", context_in(&context), secret_in(&clear), &body);
	s->out->ptr[0] = !priv;
	secret_wipe(&clear);
	return st;
}

/* Keep the sealed form, so that the key may go and come back. */
static hsm_status
remember(struct object *o, hsm_binding names, const hsm_out *sealed)
{
	uint8_t *copy = malloc(sealed->len);

	if (copy == NULL)
		return HSM_E_MEMORY;
	memcpy(copy, sealed->ptr, sealed->len);
	free(o->sealed);
	o->sealed = copy;
	o->sealed_len = sealed->len;
	o->own_seal = false;
	o->kept = true;
	object_bind(o, names);
	return HSM_OK;
}

hsm_status
resident_seal(struct object *o, hsm_binding names, hsm_out *sealed)
{
	struct sealing s = { .o = o, .names = names, .out = sealed };
	hsm_out clear = { NULL, 0, 0 };
	hsm_status st;

	pthread_mutex_lock(&o->lock);
	s.facts = atomic_load(&o->facts);
	if ((st = object_encode(s.facts, secret_in(&o->material), &clear)) != HSM_OK)
		goto out;
	if ((st = out_need(sealed, 1 + clear.len + SEAL_OVERHEAD)) != HSM_OK || sealed->ptr == NULL)
		goto out;
	if ((st = partition_seal_key(o->part, (s.facts->flags & FACT_PRIVATE) != 0, &s.key)) != HSM_OK)
		goto out;
	if ((st = gate_run(seal_names, &s, clear.len + SEAL_HEAP, SEAL_DEPTH)) == HSM_OK)
		st = remember(o, names, sealed);
out:
	secret_wipe(&s.key);
	pthread_mutex_unlock(&o->lock);
	return st;
}

/* ---- the process's own key ------------------------------------------------------------------ */

static hsm_status
boot_make(void *arg)
{
	hsm_status st;

	(void)arg;
	if ((st = secret_alloc(&boot, SEAL_KEY_LEN)) == HSM_OK)
		st = rng_bytes(boot.ptr, boot.len);
	return st;
}

hsm_status
resident_open_boot(void)
{
	hsm_status st;

	secret_wipe(&boot);
	if ((st = gate_run_testing(boot_make, NULL, 64, 4096)) != HSM_OK)
		secret_wipe(&boot);
	return st;
}

void
resident_close_boot(void)
{
	secret_wipe(&boot);
}

void
resident_fork(void)
{
	boot = SECRET_NONE;
	atomic_store(&residents, 0);
	pthread_mutex_init(&hand_lock, NULL);
	hand = 0;
	evicting = false;
}

uint64_t
resident_count(void)
{
	return atomic_load_explicit(&residents, memory_order_relaxed);
}
