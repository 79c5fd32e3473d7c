/* object.c - the table of objects, and the one way to borrow from it. */
#include "object.h"

#include <stdlib.h>
#include <string.h>

#include "../base/lab.h"
#include "../base/state.h"
#include "../crypto/rng.h"
#include "attrs.h"
#include "gate.h"
#include "handles.h"
#include "inspect.h"
#include "invocations.h"
#include "policy.h"
#include "resident.h"

#define UNIQUE_LEN 32u
#define PCT_DEPTH 131072u
#define PCT_HEAP 65536u

_Static_assert(HANDLE_BITS - OBJECT_SLOT_BITS >= 29, "a slot serves half a thousand million objects");

static void object_reap(void *item);

static struct table objects = TABLE_INIT(OBJECT_SLOT_BITS, object_reap);

/* ---- borrowing ------------------------------------------------------------------------- */

static hsm_status
object_check(struct session *s, struct object *o, uint32_t use, const struct mech *mech)
{
	const struct policy_ask ask = {
		.role = session_role(s), .writable = session_writable(s),
		.home = session_partition(s) == o->part, .strict = partition_strict(o->part),
		.account = session_account(s), .facts = atomic_load(&o->facts), .use = use, .mech = mech
	};

	return policy_check(&ask);
}

static void
object_warm(struct object *o)
{
	if (!atomic_load_explicit(&o->warm, memory_order_relaxed))
		atomic_store_explicit(&o->warm, true, memory_order_relaxed);
}

hsm_status
object_acquire(struct session *s, hsm_key handle, uint32_t use, const struct mech *mech, struct object **out)
{
	const bool whole = (use & (USE_DESCRIBE | USE_CHANGE | USE_DESTROY)) != 0;
	struct object *o;
	hsm_status st;

	*out = NULL;
	if ((o = table_acquire(&objects, handle)) == NULL)
		return HSM_E_HANDLE;
	if ((st = policy_near(s, o->part)) != HSM_OK)
		goto out;
	/* The record decides; it is read once, with the key. */
	if (atomic_load(&o->facts) == NULL && (st = resident_load(o)) != HSM_OK)
		goto out;
	if ((st = object_check(s, o, use, mech)) != HSM_OK)
		goto out;
	if (!whole && (st = resident_load(o)) != HSM_OK)
		goto out;
	object_warm(o);
	*out = o;
	return HSM_OK;
out:
	object_release(o);
	return st;
}

/* At home, with the key there, the object's loan is all that is needed: it
 * keeps the partition, which is the session's too. Everything else goes the
 * long way. */
hsm_status
object_borrow(hsm_session session, const struct session_glance *g, hsm_key handle, uint32_t use,
	const struct mech *mech, struct object **out)
{
	struct object *o = table_acquire(&objects, handle);
	struct policy_ask ask;
	struct session *s;
	hsm_status st;

	*out = NULL;
	if (o == NULL)
		return HSM_E_HANDLE;
	if (g->part == o->part && atomic_load(&o->residency) == PRESENT && partition_alive(o->part)) {
		ask = (struct policy_ask){
			.role = g->role == HSM_ROLE_PUBLIC ? partition_role(o->part) : g->role, .writable = g->writable,
			.home = true, .strict = partition_strict(o->part), .facts = atomic_load(&o->facts), .use = use, .mech = mech
		};
		if ((st = policy_check(&ask)) == HSM_OK) {
			object_warm(o);
			*out = o;
			return HSM_OK;
		}
		object_release(o);
		return st;
	}
	object_release(o);
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	st = object_acquire(s, handle, use, mech, out);
	session_release(s);
	return st;
}

void
object_release(struct object *o)
{
	if (o != NULL)
		table_release(&objects, o->handle);
}

const struct key *
object_key(const struct object *o)
{
	return &o->key;
}

const struct secret *
object_material(const struct object *o)
{
	return &o->material;
}

struct partition *
object_partition(const struct object *o)
{
	return o->part;
}

hsm_key
object_handle(const struct object *o)
{
	return o->handle;
}

const struct facts *
object_facts(const struct object *o)
{
	return atomic_load(&o->facts);
}

bool
object_strict(const struct object *o)
{
	return partition_strict(o->part);
}

hsm_binding
object_binding(const struct object *o)
{
	return (hsm_binding){ { o->names, o->id_len }, { o->names + BINDING_MAX, o->material_id_len } };
}

void
object_bind(struct object *o, hsm_binding names)
{
	o->id_len = (uint8_t)names.object_id.len;
	o->material_id_len = (uint8_t)names.material_id.len;
	if (o->id_len != 0)
		memcpy(o->names, names.object_id.ptr, o->id_len);
	if (o->material_id_len != 0)
		memcpy(o->names + BINDING_MAX, names.material_id.ptr, o->material_id_len);
}

static bool
binding_valid(hsm_binding names)
{
	return names.object_id.len <= BINDING_MAX && names.material_id.len <= BINDING_MAX;
}

/* ---- making ------------------------------------------------------------------------------- */

static void
object_free(struct object *o)
{
	if (o == NULL)
		return;
	resident_wipe(o);
	index_remove(o->index);
	invocations_free(atomic_load(&o->invocations));
	facts_free(atomic_load(&o->facts));
	free(o->sealed);
	partition_release(o->part);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* The last loan is back: nobody can reach it any more. */
static void
object_reap(void *item)
{
	object_free(item);
}

static hsm_status
object_alloc(struct partition *p, struct object **out)
{
	struct object *o;
	hsm_status st;

	*out = NULL;
	if ((o = calloc(1, sizeof *o)) == NULL)
		return HSM_E_MEMORY;
	if ((st = table_reserve(&objects, 0, &o->handle)) != HSM_OK) {
		free(o);
		return st;
	}
	pthread_mutex_init(&o->lock, NULL);
	partition_retain(p);
	o->part = p;
	*out = o;
	return HSM_OK;
}

void
object_discard(struct object *o)
{
	if (o == NULL)
		return;
	table_cancel(&objects, o->handle);
	object_free(o);
}

struct unique { uint8_t raw[UNIQUE_LEN / 2]; };

static hsm_status
unique_draw(void *arg)
{
	struct unique *u = arg;

	return rng_nonce(u->raw, sizeof u->raw);
}

static hsm_status
unique_make(uint8_t text[UNIQUE_LEN])
{
	static const char digits[] = "0123456789abcdef";
	struct unique u;
	hsm_status st;

	if ((st = gate_run(unique_draw, &u, 0, 2048)) != HSM_OK)
		return st;
	for (size_t i = 0; i < sizeof u.raw; i++) {
		text[2 * i] = (uint8_t)digits[u.raw[i] >> 4];
		text[2 * i + 1] = (uint8_t)digits[u.raw[i] & 15];
	}
	return HSM_OK;
}

static hsm_status
object_describe_new(struct object *o, const struct object_plan *plan)
{
	struct facts_order order = *plan->order;
	uint8_t unique[UNIQUE_LEN];
	struct facts *facts;
	hsm_status st;

	if ((st = unique_make(unique)) != HSM_OK)
		return st;
	order.klass = plan->klass;
	order.spec = o->key.kind != NULL ? o->key.spec : plan->spec;
	order.role = session_role(plan->session);
	order.strict = partition_strict(plan->part);
	order.unique = (hsm_in){ unique, sizeof unique };
	if (plan->from != NULL)
		st = facts_copy(plan->from, &order, plan->attrs, plan->n, &facts);
	else
		st = facts_make(&order, plan->attrs, plan->n, &facts);
	if (st == HSM_OK)
		atomic_store(&o->facts, facts);
	return st == HSM_OK ? policy_make(plan->session, facts) : st;
}

/* A check value that was given with the key must be the key's. */
static hsm_status
object_check_value(struct object *o, const struct object_plan *plan)
{
	uint8_t bytes[8];
	hsm_out out = { bytes, sizeof bytes, 0 };
	hsm_in given;
	hsm_status st;

	if (plan->klass != HSM_CLASS_SECRET || !attrs_find(plan->attrs, plan->n, HSM_ATTR_CHECK_VALUE, &given) || given.len == 0)
		return HSM_OK;
	if ((st = inspect_component(o, HSM_ATTR_CHECK_VALUE, &out)) != HSM_OK)
		return st;
	return bytes_equal((hsm_in){ bytes, out.len }, given) ? HSM_OK : HSM_E_ATTR_VALUE;
}

static hsm_status
consistent_run(void *arg)
{
	const struct key *key = arg;

	if (lab_fails("pairwise"))
		return HSM_E_SELF_TEST;
	return key->kind->consistent(key);
}

static hsm_status
object_consistent(const struct object *o, const struct object_plan *plan)
{
	hsm_status st;

	if (!plan->consistent || plan->klass != HSM_CLASS_PRIVATE || o->key.kind->consistent == NULL)
		return HSM_OK;
	st = gate_run(consistent_run, (void *)(uintptr_t)&o->key, PCT_HEAP, PCT_DEPTH);
	return st == HSM_OK || st == HSM_E_MEMORY || st == HSM_E_STATE ? st : plan->inconsistent;
}

hsm_status
object_make(const struct object_plan *plan, struct object **out)
{
	struct object *o = NULL;
	hsm_status st;

	*out = NULL;
	if ((st = object_alloc(plan->part, &o)) != HSM_OK)
		return st;
	if ((st = resident_settle(o, plan->klass, plan->spec.type, plan->material)) != HSM_OK)
		goto out;
	if (o->key.kind != NULL && plan->spec.param != 0 && plan->spec.param != o->key.spec.param) {
		st = HSM_E_KEY_SIZE;
		goto out;
	}
	if ((st = object_describe_new(o, plan)) != HSM_OK)
		goto out;
	if ((st = object_check_value(o, plan)) != HSM_OK)
		goto out;
	st = object_consistent(o, plan);
out:
	if (st == HSM_OK) {
		*out = o;
		return HSM_OK;
	}
	/* What the caller brought stays the caller's. */
	if (atomic_load(&o->residency) == PRESENT)
		secret_move(plan->material, &o->material);
	object_discard(o);
	return st;
}

/* Who closes a partition says so first and ends its objects afterwards; we
 * publish first and look afterwards. */
static hsm_status
object_give_out(struct object *o, hsm_key *handle)
{
	struct partition *p = o->part;
	hsm_key mine = o->handle;
	hsm_status st = gate_ready();

	partition_retain(p);
	index_place(o->index, mine, p, atomic_load(&o->facts));
	table_publish(&objects, mine, o);
	if (st == HSM_OK && !partition_alive(p))
		st = HSM_E_PARTITION;
	if (st != HSM_OK)
		(void)table_end(&objects, mine);
	partition_release(p);
	*handle = st == HSM_OK ? mine : 0;
	return st;
}

/* In a token's partition a session takes what it made along, unless it was
 * put to rest. */
hsm_status
object_publish(struct session *s, struct object **out, hsm_key *handle)
{
	struct object *o = *out;
	hsm_status st;

	*handle = 0;
	if (partition_pin(o->part) != NULL && session_partition(s) != NULL) {
		if ((st = session_own(s, o->handle)) != HSM_OK)
			return st;
		o->owner = session_handle(s);
	}
	*out = NULL;
	return object_give_out(o, handle);
}

hsm_status
object_adopt(struct session *s, struct partition *p, uint32_t klass, hsm_spec spec,
	const hsm_attr *attrs, size_t n, struct secret *material, bool local, hsm_key *handle)
{
	const struct facts_order order = { .how = local ? HOW_GENERATE : HOW_UNWRAP, .made_by = UINT64_MAX };
	const struct object_plan plan = {
		.session = s, .part = p, .klass = klass, .spec = spec, .order = &order, .attrs = attrs, .n = n,
		.material = material, .consistent = !local, .inconsistent = HSM_E_KEY_VALUE
	};
	struct object *o;
	hsm_status st;

	*handle = 0;
	if ((st = object_make(&plan, &o)) != HSM_OK)
		return st;
	if ((st = object_publish(s, &o, handle)) != HSM_OK && o != NULL) {
		secret_move(material, &o->material);
		object_discard(o);
	}
	return st;
}

/* ---- ending --------------------------------------------------------------------------------- */

bool
object_lives(hsm_key handle)
{
	struct object *o = table_acquire(&objects, handle);

	object_release(o);
	return o != NULL;
}

void
object_end(hsm_key handle)
{
	struct object *o = table_acquire(&objects, handle);
	const struct facts *f;

	if (o == NULL)
		return;
	pthread_mutex_lock(&o->lock);
	f = atomic_load(&o->facts);
	if (!(o->kept && f != NULL && (f->flags & FACT_TOKEN) != 0))
		(void)table_retire(&objects, handle);
	pthread_mutex_unlock(&o->lock);
	object_release(o);
}

uint32_t
object_span(void)
{
	return atomic_load(&objects.span);
}

struct object *
object_at(uint32_t slot)
{
	hsm_key handle;

	return table_at(&objects, slot, &handle);
}

int64_t
object_loans(const struct object *o)
{
	return table_loans(&objects, o->handle);
}

uint64_t
object_count(void)
{
	return atomic_load_explicit(&objects.live, memory_order_relaxed);
}

void
object_fork(void)
{
	table_forget(&objects);
	index_fork();
}

static void
forget(const struct partition *p, bool private_only)
{
	uint32_t span = object_span();
	const struct facts *f;
	struct object *o;

	for (uint32_t slot = 0; slot < span; slot++) {
		if ((o = object_at(slot)) == NULL)
			continue;
		f = atomic_load(&o->facts);
		if ((p == NULL || o->part == p)
		    && (!private_only || (f != NULL ? (f->flags & FACT_PRIVATE) != 0 : o->sealed[0] == 0)))
			(void)table_retire(&objects, o->handle);
		object_release(o);
	}
}

void
object_forget(const struct partition *p)
{
	forget(p, false);
}

void
object_forget_private(const struct partition *p)
{
	forget(p, true);
}

/* ---- the face --------------------------------------------------------------------------------- */

static hsm_status
end_by_name(hsm_session session, hsm_key key, uint32_t use, bool destroy)
{
	struct session *s;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if ((st = object_acquire(s, key, use, NULL, &o)) != HSM_OK)
		goto out;
	if (destroy && (object_facts(o)->flags & FACT_DESTROYABLE) == 0)
		st = HSM_E_POLICY;
	else if (!table_retire(&objects, key))
		st = HSM_E_HANDLE;
out:
	object_release(o);
	session_release(s);
	return st;
}

hsm_status
hsm_destroy(hsm_session session, hsm_key key)
{
	return end_by_name(session, key, USE_DESTROY, true);
}

/* Letting go needs no record: an object that was never used is never read. */
hsm_status
hsm_object_close(hsm_session session, hsm_key key)
{
	struct session *s;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if ((o = table_acquire(&objects, key)) == NULL)
		st = HSM_E_HANDLE;
	else if (session_role(s) == HSM_ROLE_CALLER)
		st = HSM_E_ROLE;
	else if ((st = policy_near(s, o->part)) == HSM_OK && !table_retire(&objects, key))
		st = HSM_E_HANDLE;
	object_release(o);
	session_release(s);
	return st;
}

hsm_status
hsm_object_seal(hsm_session session, hsm_key key, hsm_binding names, hsm_out *sealed)
{
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if (!binding_valid(names)) {
		st = HSM_E_ARGS;
		goto out;
	}
	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, key, USE_SEAL, NULL, &o)) != HSM_OK)
		goto out;
	st = resident_seal(o, names, sealed);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER)
		sealed->len = 0;
	object_release(o);
	session_release(s);
	return st;
}

static hsm_status
sealed_keep(struct object *o, hsm_binding names, hsm_in sealed)
{
	if ((o->sealed = malloc(sealed.len)) == NULL)
		return HSM_E_MEMORY;
	memcpy(o->sealed, sealed.ptr, sealed.len);
	o->sealed_len = sealed.len;
	o->kept = true;
	object_bind(o, names);
	return HSM_OK;
}

/* Nothing is decrypted here: that waits until the object is used. */
hsm_status
hsm_object_open(hsm_session session, hsm_part part, hsm_binding names, hsm_in sealed, hsm_key *key)
{
	struct session *s = NULL;
	struct partition *p = NULL;
	struct object *o = NULL;
	hsm_status st;

	*key = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (!binding_valid(names) || sealed.len < 2 || sealed.ptr == NULL) {
		st = HSM_E_ARGS;
		goto out;
	}
	if (sealed.ptr[0] > 1) {
		st = HSM_E_FORMAT;
		goto out;
	}
	if (session_role(s) == HSM_ROLE_CALLER) {
		st = HSM_E_ROLE;
		goto out;
	}
	if ((st = policy_home(s, part, &p)) != HSM_OK)
		goto out;
	if ((st = object_alloc(p, &o)) != HSM_OK)
		goto out;
	if ((st = sealed_keep(o, names, sealed)) != HSM_OK)
		goto out;
	st = object_give_out(o, key);
	o = NULL;                       /* the table's now */
out:
	object_discard(o);
	partition_release(p);
	session_release(s);
	return st;
}
