/* inspect.c - what an object tells, and how its attributes change. */
#include <string.h>

#include "attrs.h"
#include "loan.h"
#include "resident.h"

#define SHOW_DEPTH 65536u
#define SHOW_HEAP 32768u

struct showing { struct object *o; uint32_t type; hsm_out *out; };

static hsm_status
show_run(void *arg)
{
	struct showing *w = arg;
	const struct key *key = object_key(w->o);

	if (w->type == HSM_ATTR_PUBLIC_KEY_INFO)
		return key->kind->publish == NULL ? HSM_E_ATTR_TYPE : key->kind->publish(key, w->out);
	return key->kind->component == NULL ? HSM_E_ATTR_TYPE : key->kind->component(key, w->type, w->out);
}

static hsm_status
show_material(const struct object *o, hsm_out *out)
{
	const struct secret *value = object_material(o);
	hsm_status st;

	if ((st = out_need(out, value->len)) == HSM_OK && out->ptr != NULL && value->len != 0)
		memcpy(out->ptr, value->ptr, value->len);
	return st;
}

/* A number that the record knows need not wake the key. */
static bool
show_short(const struct facts *f, uint32_t type, hsm_out *out, hsm_status *st)
{
	uint64_t number = type == HSM_ATTR_VALUE_LEN ? f->spec.param / 8 : f->spec.param;

	if (type != HSM_ATTR_VALUE_LEN && !(type == HSM_ATTR_MODULUS_BITS && f->spec.type == HSM_KEY_RSA))
		return false;
	if ((*st = out_need(out, sizeof number)) == HSM_OK && out->ptr != NULL)
		memcpy(out->ptr, &number, sizeof number);
	return true;
}

hsm_status
inspect_component(struct object *o, uint32_t type, hsm_out *out)
{
	struct showing w = { o, type, out };
	hsm_status st;

	if (show_short(object_facts(o), type, out, &st))
		return st;
	if ((st = resident_load(o)) != HSM_OK)
		return st;
	if (object_key(o)->kind == NULL)
		return show_material(o, out);
	return gate_run(show_run, &w, SHOW_HEAP, SHOW_DEPTH);
}

/* A look in passing at the session, the object on loan. */
static hsm_status
borrow(hsm_session session, hsm_key key, struct object **o)
{
	struct session_glance glance;
	hsm_status st;

	*o = NULL;
	if ((st = session_look(session, &glance)) != HSM_OK)
		return st;
	return object_borrow(session, &glance, key, USE_DESCRIBE, NULL, o);
}

hsm_status
hsm_attr_get(hsm_session session, hsm_key key, uint32_t type, hsm_out *value)
{
	struct object *o;
	bool ask;
	hsm_status st;

	if ((st = borrow(session, key, &o)) != HSM_OK)
		goto out;
	if ((st = facts_get(object_facts(o), type, value, &ask)) == HSM_OK && ask)
		st = inspect_component(o, type, value);
out:
	object_release(o);
	return out_settle(value, st);
}

/* Records of before are freed once nobody but us has a loan: whoever comes
 * now finds the new one. */
static void
facts_swap(struct object *o, struct facts *fresh)
{
	struct facts *old = atomic_load(&o->facts);

	fresh->old = old;
	atomic_store(&o->facts, fresh);
	index_place(o->index, object_handle(o), object_partition(o), fresh);
	if (object_loans(o) == 1) {
		fresh->old = NULL;
		facts_free(old);
	}
}

static hsm_status
facts_set(struct session *s, struct object *o, const hsm_attr *attrs, size_t n)
{
	struct facts *now, *fresh;
	hsm_status st;

	pthread_mutex_lock(&o->lock);
	now = atomic_load(&o->facts);
	if ((now->flags & FACT_MODIFIABLE) == 0)
		st = HSM_E_POLICY;
	else
		st = facts_change(now, session_role(s), object_strict(o), attrs, n, &fresh);
	if (st == HSM_OK)
		facts_swap(o, fresh);
	pthread_mutex_unlock(&o->lock);
	return st;
}

hsm_status
hsm_attr_set(hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n)
{
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if ((st = object_acquire(s, key, USE_CHANGE, NULL, &o)) == HSM_OK)
		st = facts_set(s, o, attrs, n);
	object_release(o);
	session_release(s);
	return st;
}

hsm_status
hsm_key_describe(hsm_session session, hsm_key key, hsm_key_info *info)
{
	struct object *o;
	const struct facts *f;
	hsm_status st;

	*info = (hsm_key_info){ 0 };
	if ((st = borrow(session, key, &o)) != HSM_OK)
		return st;
	f = object_facts(o);
	*info = (hsm_key_info){
		.klass = f->klass, .spec = f->spec, .use = f->use,
		.sensitive = (f->flags & FACT_SENSITIVE) != 0, .extractable = (f->flags & FACT_EXTRACTABLE) != 0,
		.always_sensitive = (f->flags & FACT_ALWAYS_SENSITIVE) != 0,
		.never_extractable = (f->flags & FACT_NEVER_EXTRACTABLE) != 0,
		.local = (f->flags & FACT_LOCAL) != 0, .loaded = atomic_load(&o->residency) == PRESENT,
		.part = partition_handle(object_partition(o))
	};
	object_release(o);
	return HSM_OK;
}

hsm_status
hsm_public_key(hsm_session session, hsm_key key, hsm_out *spki)
{
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		goto out;
	if ((st = object_acquire(s, key, USE_DESCRIBE, NULL, &o)) != HSM_OK)
		goto out;
	st = object_facts(o)->klass == HSM_CLASS_PUBLIC || object_facts(o)->klass == HSM_CLASS_PRIVATE
		? inspect_component(o, HSM_ATTR_PUBLIC_KEY_INFO, spki) : HSM_E_KEY_TYPE;
out:
	object_release(o);
	session_release(s);
	return out_settle(spki, st);
}
