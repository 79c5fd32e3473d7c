/* derive.c - new keys from old ones, and agreed secrets as payload. */
#include "derive.h"

#include <string.h>

#include "loan.h"
#include "policy.h"

struct job {
	const struct loan *loan;
	hsm_params params;
	size_t want;
	struct secret made;
};

static hsm_status
derive(void *arg)
{
	struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->derive == NULL ? HSM_E_MECH : m->derive(object_key(j->loan->object), &j->params, j->want, &j->made);
}

static hsm_status
derive_run(struct job *j)
{
	return gate_run_keep(derive, j, j->loan->mech->heap + j->want + 256, j->want + 256, j->loan->mech->depth);
}

/* ---- what is to be made ---------------------------------------------------------------- */

/* Bytes that a key of this type has, where the type says it. */
static size_t
type_len(hsm_spec spec)
{
	switch (spec.type) {
	case HSM_KEY_DES3:
		return 24;
	case HSM_KEY_KDK:
	case HSM_KEY_CHACHA20:
		return 32;
	default:
		return spec.param / 8;
	}
}

hsm_status
derive_target(const hsm_attr *attrs, size_t n, const hsm_params *params, struct derive_target *t)
{
	uint64_t number;
	hsm_in value;
	hsm_status st;

	*t = (struct derive_target){ .klass = HSM_CLASS_SECRET, .spec = params->spec };
	if (attrs_find(attrs, n, HSM_ATTR_CLASS, &value)) {
		if ((st = attrs_number(attrs, n, HSM_ATTR_CLASS, &number)) != HSM_OK)
			return st;
		if (number > HSM_CLASS_DOMAIN_PARAMETERS)
			return HSM_E_ATTR_VALUE;
		t->klass = (uint32_t)number;
	}
	if (attrs_find(attrs, n, HSM_ATTR_KEY_TYPE, &value)) {
		if ((st = attrs_number(attrs, n, HSM_ATTR_KEY_TYPE, &number)) != HSM_OK)
			return st;
		if (attrs_key_type(number) != t->spec.type)
			t->spec = (hsm_spec){ attrs_key_type(number), 0 };
		t->typed = true;
	} else {
		t->typed = t->spec.type != 0;
	}
	if (attrs_find(attrs, n, HSM_ATTR_VALUE_LEN, &value)) {
		if ((st = attrs_number(attrs, n, HSM_ATTR_VALUE_LEN, &number)) != HSM_OK)
			return st;
		if (number == 0 || number > FACTS_MAX)
			return HSM_E_ATTR_VALUE;
		t->len = (size_t)number;
	}
	/* Number 0 is RSA's: a secret key whose type nobody said is generic. */
	if (t->klass == HSM_CLASS_SECRET && t->spec.type == HSM_KEY_RSA)
		t->spec = (hsm_spec){ HSM_KEY_GENERIC, 0 };
	if (t->len == 0 && t->klass == HSM_CLASS_SECRET)
		t->len = type_len(t->spec);
	return HSM_OK;
}

hsm_status
derive_cut(struct secret *made, size_t len)
{
	if (len == 0 || len == made->len)
		return HSM_OK;
	if (len > made->len)
		return HSM_E_KEY_SIZE;
	bytes_wipe(made->ptr + len, made->len - len);
	made->len = len;
	return HSM_OK;
}

/* The length is the material's; the rest was said or follows. */
hsm_spec
derive_spec(const struct derive_target *t)
{
	return (hsm_spec){ t->spec.type, 0 };
}

/* ---- a second key ------------------------------------------------------------------------- */

/* Its value goes in where the mechanism wants it, and what is made is no more
 * open than either of the two: `both` is what stands for them in the rules. */
static hsm_status
second_take(const struct loan *loan, hsm_params *params, struct facts *both, struct object **second)
{
	const uint32_t if_both = FACT_EXTRACTABLE | FACT_ALWAYS_SENSITIVE | FACT_NEVER_EXTRACTABLE;
	const struct facts *f;
	hsm_in value;
	hsm_status st;

	if ((st = object_acquire(loan->session, params->other, MECH_DERIVE, NULL, second)) != HSM_OK)
		return st;
	f = object_facts(*second);
	if (f->klass != HSM_CLASS_SECRET || f->spec.type == HSM_KEY_KDK || f->spec.type == HSM_KEY_SIGV4)
		return HSM_E_KEY_TYPE;
	value = secret_in(object_material(*second));
	if (loan->mech->id == HSM_HKDF_DERIVE || loan->mech->id == HSM_HKDF_DATA)
		params->salt = value;
	else
		params->data = value;
	both->flags = (both->flags & ~if_both) | (both->flags & f->flags & if_both) | (f->flags & FACT_SENSITIVE);
	both->klass = HSM_CLASS_SECRET;
	return HSM_OK;
}

/* ---- the face --------------------------------------------------------------------------- */

hsm_status
hsm_derive(hsm_session session, hsm_key base, hsm_mech mech, const hsm_params *params, const hsm_attr *attrs, size_t n, hsm_key *key)
{
	struct loan loan;
	struct job job = { .loan = &loan };
	struct facts_order order = { .how = HOW_DERIVE };
	struct derive_target target;
	struct partition *p = NULL;
	struct object *o = NULL, *second = NULL;
	struct facts both;
	hsm_status st;

	*key = 0;
	if ((st = loan_take(session, base, MECH_DERIVE, mech, params, &loan)) != HSM_OK)
		goto out;
	if ((st = policy_home(loan.session, 0, &p)) != HSM_OK)
		goto out;
	if ((st = derive_target(attrs, n, loan.params, &target)) != HSM_OK)
		goto out;
	if (target.klass != HSM_CLASS_SECRET && target.klass != HSM_CLASS_DATA) {
		st = HSM_E_TEMPLATE;
		goto out;
	}
	job.params = *loan.params;
	job.params.spec = (hsm_spec){ target.spec.type, (uint32_t)target.len * 8 };
	job.want = target.len;
	both = *object_facts(loan.object);
	if (job.params.other != 0 && (st = second_take(&loan, &job.params, &both, &second)) != HSM_OK)
		goto out;
	if ((st = derive_run(&job)) != HSM_OK || (st = derive_cut(&job.made, target.len)) != HSM_OK)
		goto out;
	order.base = &both;
	order.made_by = UINT64_MAX;
	(void)facts_find(object_facts(loan.object), HSM_ATTR_DERIVE_TEMPLATE, &order.template);
	st = object_make(&(struct object_plan){ .session = loan.session, .part = p, .klass = target.klass,
		.spec = derive_spec(&target), .order = &order, .attrs = attrs, .n = n, .material = &job.made }, &o);
	if (st == HSM_OK)
		st = object_publish(loan.session, &o, key);
out:
	object_discard(o);
	object_release(second);
	secret_wipe(&job.made);
	partition_release(p);
	loan_return(&loan);
	return st;
}

/* Payload leaves only from keys that were made for it, and never where the
 * partition is strict. */
hsm_status
derive_reveals(const struct loan *loan)
{
	if ((object_facts(loan->object)->flags & FACT_REVEAL) == 0 || object_strict(loan->object))
		return HSM_E_POLICY;
	return HSM_OK;
}

hsm_status
derive_show(const struct secret *made, hsm_out *out)
{
	hsm_status st;

	if ((st = out_need(out, made->len)) == HSM_OK && out->ptr != NULL && made->len != 0)
		memcpy(out->ptr, made->ptr, made->len);
	return st;
}

hsm_status
hsm_agree(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_out *secret)
{
	struct loan loan;
	struct job job = { .loan = &loan };
	hsm_status st;

	if ((st = loan_take(session, key, MECH_DERIVE, mech, params, &loan)) != HSM_OK)
		goto out;
	if ((st = derive_reveals(&loan)) != HSM_OK)
		goto out;
	job.params = *loan.params;
	job.params.spec = (hsm_spec){ HSM_KEY_GENERIC, 0 };
	if ((st = derive_run(&job)) == HSM_OK)
		st = derive_show(&job.made, secret);
out:
	secret_wipe(&job.made);
	loan_return(&loan);
	return out_settle(secret, st);
}
