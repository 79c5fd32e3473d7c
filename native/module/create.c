/* create.c - how keys come to be: made here, brought in the clear, copied. */
#include <string.h>

#include "../base/state.h"
#include "attrs.h"
#include "loan.h"
#include "policy.h"
#include "resident.h"
#include "root.h"

#define MAKE_DEPTH 131072u

/* ---- fresh keys ------------------------------------------------------------------------ */

struct making {
	const struct kind *kind;
	const struct mech *row;
	hsm_spec spec;
	const hsm_params *params;
	struct secret material, pub;
};

/* The row that says a key of this type can be made, and whether that is
 * approved. */
static const struct mech *
row_of(uint32_t type)
{
	static const struct { uint32_t type; hsm_mech id; } rows[] = {
		{ HSM_KEY_AES, HSM_AES_KEY_GEN }, { HSM_KEY_GENERIC, HSM_GENERIC_SECRET_KEY_GEN },
		{ HSM_KEY_KDK, HSM_KDK_KEY_GEN }, { HSM_KEY_RSA, HSM_RSA_KEY_PAIR_GEN },
		{ HSM_KEY_EC, HSM_EC_KEY_PAIR_GEN }, { HSM_KEY_EDWARDS, HSM_EDWARDS_KEY_PAIR_GEN },
		{ HSM_KEY_MONTGOMERY, HSM_MONTGOMERY_KEY_PAIR_GEN }, { HSM_KEY_ML_DSA, HSM_ML_DSA_KEY_PAIR_GEN },
		{ HSM_KEY_ML_KEM, HSM_ML_KEM_KEY_PAIR_GEN }
	};
	const struct mech *row;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].type == type)
			return mech_find(rows[i].id);
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++)
		if ((row->flags & MECH_GENERATE) != 0 && row->key_type == type)
			return row;
	return NULL;
}

static hsm_status
making_begin(struct making *m, hsm_spec spec, const hsm_params *params)
{
	const struct key key = { .spec = spec };
	uint32_t bits = attrs_bits(spec);

	*m = (struct making){ .kind = kind_find(spec.type), .row = row_of(spec.type), .spec = spec,
		.params = params != NULL ? params : &params_none };
	if (m->kind == NULL || m->row == NULL || m->kind->generate == NULL)
		return HSM_E_KEY_TYPE;
	if (bits < m->row->min_bits || (m->row->max_bits != 0 && bits > m->row->max_bits))
		return HSM_E_KEY_SIZE;
	return gate_indicate(m->row, &key, MECH_GENERATE, m->params);
}

static hsm_status
making_run(void *arg)
{
	struct making *m = arg;

	return m->kind->generate(m->spec, m->params, &m->material, &m->pub);
}

static hsm_status
making_do(struct making *m)
{
	return gate_run_keep(making_run, m, m->row->heap + m->kind->heap, m->kind->heap,
		m->row->depth > MAKE_DEPTH ? m->row->depth : MAKE_DEPTH);
}

hsm_status
hsm_generate(hsm_session session, hsm_part part, hsm_spec spec, const hsm_attr *attrs, size_t n, hsm_key *key)
{
	struct making m = { 0 };
	struct session *s = NULL;
	struct partition *p = NULL;
	struct object *o = NULL;
	struct facts_order order = { .how = HOW_GENERATE };
	hsm_status st;

	*key = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if ((st = policy_home(s, part, &p)) != HSM_OK)
		goto out;
	if ((st = making_begin(&m, spec, NULL)) != HSM_OK)
		goto out;
	if ((st = making_do(&m)) != HSM_OK)
		goto out;
	if (m.pub.len != 0) {
		st = HSM_E_KEY_TYPE;            /* a pair's type: hsm_generate_pair */
		goto out;
	}
	order.made_by = m.row->id;
	st = object_make(&(struct object_plan){ .session = s, .part = p, .klass = HSM_CLASS_SECRET, .spec = spec,
		.order = &order, .attrs = attrs, .n = n, .material = &m.material }, &o);
	if (st == HSM_OK)
		st = object_publish(s, &o, key);
out:
	object_discard(o);
	secret_wipe(&m.material);
	secret_wipe(&m.pub);
	partition_release(p);
	session_release(s);
	return st;
}

/* A pair that is not one is erased, and nothing more is served. */
static hsm_status
pair_failed(hsm_status st)
{
	if (st == HSM_E_SELF_TEST)
		(void)!state_event(EVENT_TEST_FAILED, "pairwise consistency");
	return st;
}

/* Give out both numbers or none. */
static hsm_status
pair_publish(struct session *s, struct object **pub_o, struct object **o, hsm_key *pub, hsm_key *key)
{
	hsm_status st;

	if (*pub_o != NULL && (st = object_publish(s, pub_o, pub)) != HSM_OK)
		return st;
	if ((st = object_publish(s, o, key)) == HSM_OK || pub == NULL)
		return st;
	object_end(*pub);
	*pub = 0;
	return st;
}

hsm_status
hsm_generate_pair(hsm_session session, hsm_part part, hsm_spec spec, const hsm_params *params,
	const hsm_attr *pub_attrs, size_t pub_n, const hsm_attr *attrs, size_t n, hsm_key *pub, hsm_key *key)
{
	struct making m = { 0 };
	struct session *s = NULL;
	struct partition *p = NULL;
	struct object *pub_o = NULL, *o = NULL;
	struct facts_order order = { .how = HOW_GENERATE };
	hsm_status st;

	*key = 0;
	if (pub != NULL)
		*pub = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if ((st = policy_home(s, part, &p)) != HSM_OK)
		goto out;
	if ((st = making_begin(&m, spec, params)) != HSM_OK)
		goto out;
	if ((st = making_do(&m)) != HSM_OK)
		goto out;
	if (m.pub.len == 0) {
		st = HSM_E_KEY_TYPE;
		goto out;
	}
	order.made_by = m.row->id;
	st = object_make(&(struct object_plan){ .session = s, .part = p, .klass = HSM_CLASS_PRIVATE, .spec = spec,
		.order = &order, .attrs = attrs, .n = n, .material = &m.material,
		.consistent = true, .inconsistent = HSM_E_SELF_TEST }, &o);
	if (st == HSM_OK && pub != NULL)
		st = object_make(&(struct object_plan){ .session = s, .part = p, .klass = HSM_CLASS_PUBLIC, .spec = spec,
			.order = &order, .attrs = pub_attrs, .n = pub_n, .material = &m.pub }, &pub_o);
	st = st == HSM_OK ? pair_publish(s, &pub_o, &o, pub, key) : pair_failed(st);
out:
	object_discard(pub_o);
	object_discard(o);
	secret_wipe(&m.material);
	secret_wipe(&m.pub);
	partition_release(p);
	session_release(s);
	return st;
}

/* ---- in the clear ------------------------------------------------------------------------- */

struct composing {
	const struct kind *kind;
	enum key_part part;
	const hsm_attr *attrs;
	size_t n;
	struct secret *material;
};

static hsm_status
compose_run(void *arg)
{
	struct composing *c = arg;

	return c->kind->compose(c->part, c->attrs, c->n, c->material);
}

/* A pair's key without components: PKCS#8 or SPKI, whole, in CKA_VALUE. */
static bool
whole_given(const hsm_attr *attrs, size_t n, hsm_in *der)
{
	static const uint32_t components[] = { HSM_ATTR_MODULUS, HSM_ATTR_EC_PARAMS, HSM_ATTR_EC_POINT, HSM_ATTR_PARAMETER_SET, HSM_ATTR_SEED };
	hsm_in ignored;

	for (size_t i = 0; i < sizeof components / sizeof *components; i++)
		if (attrs_find(attrs, n, components[i], &ignored))
			return false;
	return attrs_find(attrs, n, HSM_ATTR_VALUE, der) || attrs_find(attrs, n, HSM_ATTR_PUBLIC_KEY_INFO, der);
}

static hsm_status
create_key(uint32_t klass, uint32_t type, const hsm_attr *attrs, size_t n, struct secret *material)
{
	struct composing c = { .kind = kind_find(type), .attrs = attrs, .n = n, .material = material,
		.part = klass == HSM_CLASS_SECRET ? PART_SECRET : klass == HSM_CLASS_PRIVATE ? PART_PRIVATE : PART_PUBLIC };
	hsm_in der;

	if (c.kind == NULL)
		return HSM_E_KEY_TYPE;
	if (c.part != PART_SECRET && whole_given(attrs, n, &der))
		return gate_copy(material, der);
	if (c.kind->compose == NULL)
		return HSM_E_KEY_TYPE;
	return gate_run_keep(compose_run, &c, c.kind->heap + 16384, c.kind->heap, MAKE_DEPTH);
}

static hsm_status
create_material(uint32_t klass, uint32_t *type, const hsm_attr *attrs, size_t n, struct secret *material)
{
	uint64_t number = 0;
	hsm_in value;
	hsm_status st;

	switch (klass) {
	case HSM_CLASS_DATA:
		return attrs_find(attrs, n, HSM_ATTR_VALUE, &value) && value.len != 0 ? gate_copy(material, value) : HSM_OK;
	case HSM_CLASS_CERTIFICATE:
		if ((st = attrs_number(attrs, n, HSM_ATTR_CERTIFICATE_TYPE, &number)) != HSM_OK)
			return st;
		return attrs_find(attrs, n, HSM_ATTR_VALUE, &value) || attrs_find(attrs, n, HSM_ATTR_URL, &value)
			? HSM_OK : HSM_E_TEMPLATE_INCOMPLETE;
	case HSM_CLASS_DOMAIN_PARAMETERS:
		if ((st = attrs_number(attrs, n, HSM_ATTR_KEY_TYPE, &number)) == HSM_OK)
			*type = attrs_key_type(number);
		return st;
	case HSM_CLASS_PUBLIC:
	case HSM_CLASS_PRIVATE:
	case HSM_CLASS_SECRET:
		if ((st = attrs_number(attrs, n, HSM_ATTR_KEY_TYPE, &number)) != HSM_OK)
			return st;
		*type = attrs_key_type(number);
		return create_key(klass, *type, attrs, n, material);
	default:
		return HSM_E_ATTR_VALUE;
	}
}

static bool
hidden(uint64_t klass)
{
	return klass == HSM_CLASS_SECRET || klass == HSM_CLASS_PRIVATE;
}

/* Known keys in tenants' accounts are for doubles in tests: the service brings
 * them in where the root key was made for that, a caller never. */
static hsm_status
create_role(const struct session *s)
{
	const hsm_role role = session_role(s);
	struct root_info root;

	if (role == HSM_ROLE_CALLER)
		return HSM_E_ROLE;
	if (role != HSM_ROLE_SERVICE)
		return HSM_OK;
	root_describe(&root);
	return root.unsealed && root.mode == HSM_MODE_DEV ? HSM_OK : HSM_E_MODE;
}

/* Secrets in the clear: not approved, and not at all where it is strict. */
static hsm_status
create_allowed(const struct session *s, const struct partition *p, uint64_t klass)
{
	hsm_status st;

	gate_approved(!hidden(klass));
	if (hidden(klass) && (st = create_role(s)) != HSM_OK)
		return st;
	if (hidden(klass) && partition_strict(p))
		return HSM_E_POLICY;
	return hidden(klass) && gate_is_approved_only() ? HSM_E_NOT_APPROVED : HSM_OK;
}

hsm_status
hsm_create(hsm_session session, hsm_part part, const hsm_attr *attrs, size_t n, hsm_key *key)
{
	const struct facts_order order = { .how = HOW_CREATE, .made_by = UINT64_MAX };
	struct secret material = SECRET_NONE;
	struct session *s = NULL;
	struct partition *p = NULL;
	struct object *o = NULL;
	uint32_t type = HSM_KEY_ANY;
	uint64_t klass;
	hsm_status st;

	*key = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if ((st = policy_home(s, part, &p)) != HSM_OK)
		goto out;
	if ((st = attrs_number(attrs, n, HSM_ATTR_CLASS, &klass)) != HSM_OK)
		goto out;
	if ((st = create_allowed(s, p, klass)) != HSM_OK)
		goto out;
	if (klass > HSM_CLASS_DOMAIN_PARAMETERS) {
		st = HSM_E_ATTR_VALUE;
		goto out;
	}
	if ((st = create_material((uint32_t)klass, &type, attrs, n, &material)) != HSM_OK)
		goto out;
	st = object_make(&(struct object_plan){ .session = s, .part = p, .klass = (uint32_t)klass, .spec.type = type,
		.order = &order, .attrs = attrs, .n = n, .material = &material,
		.consistent = true, .inconsistent = HSM_E_KEY_VALUE }, &o);
	if (st == HSM_OK)
		st = object_publish(s, &o, key);
out:
	object_discard(o);
	secret_wipe(&material);
	partition_release(p);
	session_release(s);
	return st;
}

/* ---- copies ---------------------------------------------------------------------------------- */

hsm_status
hsm_copy(hsm_session session, hsm_key from, const hsm_attr *attrs, size_t n, hsm_key *key)
{
	const struct facts_order order = { .how = HOW_CREATE };
	struct secret material = SECRET_NONE;
	struct session *s = NULL;
	struct object *source = NULL, *o = NULL;
	const struct facts *f;
	hsm_status st;

	*key = 0;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (session_role(s) == HSM_ROLE_CALLER) {
		st = HSM_E_ROLE;
		goto out;
	}
	/* Asked as sealing is: the material goes on living elsewhere. */
	if ((st = object_acquire(s, from, USE_SEAL, NULL, &source)) != HSM_OK)
		goto out;
	f = object_facts(source);
	if ((f->flags & FACT_COPYABLE) == 0) {
		st = HSM_E_POLICY;
		goto out;
	}
	if ((st = gate_copy(&material, secret_in(object_material(source)))) != HSM_OK)
		goto out;
	st = object_make(&(struct object_plan){ .session = s, .part = object_partition(source), .klass = f->klass,
		.spec = f->spec, .order = &order, .from = f, .attrs = attrs, .n = n, .material = &material }, &o);
	if (st == HSM_OK)
		st = object_publish(s, &o, key);
out:
	object_discard(o);
	secret_wipe(&material);
	object_release(source);
	session_release(s);
	return st;
}
