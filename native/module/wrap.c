/* wrap.c - keys leave and come back under other keys.
 *
 * Where the partition is strict and the wrapping key symmetric, what is
 * wrapped is the key with its record (docs/formats/object.md), authenticated:
 * class, type, uses and sensitivity come back as they were and are not lowered
 * by whoever unwraps. */
#include <stdlib.h>
#include <string.h>

#include "code.h"
#include "derive.h"
#include "policy.h"
#include "resident.h"

struct job {
	const struct loan *loan;
	hsm_in in;
	hsm_out *out;
	const struct facts *record;     /* to be wrapped along */
	struct secret clear;
};

static bool
carries_record(const struct loan *loan)
{
	return object_strict(loan->object) && object_facts(loan->object)->klass == HSM_CLASS_SECRET;
}

static hsm_status
wrap(void *arg)
{
	struct job *j = arg;
	const struct mech *m = j->loan->mech;
	const struct key *kek = object_key(j->loan->object);
	hsm_out clear = { NULL, 0, 0 };
	hsm_in in = j->in;
	hsm_status st;

	if (j->record != NULL) {
		if ((st = object_encode(j->record, j->in, &clear)) != HSM_OK)
			return st;
		if ((st = secret_alloc(&j->clear, clear.len)) != HSM_OK)
			return st;
		clear = (hsm_out){ j->clear.ptr, j->clear.len, 0 };
		if ((st = object_encode(j->record, j->in, &clear)) != HSM_OK)
			return st;
		in = secret_in(&j->clear);
	}
	if (m->wrap != NULL)
		return m->wrap(kek, j->loan->params, in, j->out);
	return m->seal == NULL ? HSM_E_MECH : m->seal(kek, j->loan->params, in, j->out);
}

hsm_status
hsm_wrap(hsm_session session, hsm_key kek, hsm_mech mech, const hsm_params *params, hsm_key key, hsm_out *wrapped)
{
	struct loan loan;
	struct job job = { .loan = &loan, .out = wrapped };
	struct object *target = NULL;
	bool strict;
	hsm_status st;

	if ((st = loan_take(session, kek, MECH_WRAP, mech, params, &loan)) != HSM_OK)
		goto out;
	if ((st = object_acquire(loan.session, key, USE_DESCRIBE, NULL, &target)) != HSM_OK)
		goto out;
	strict = object_strict(target) || object_strict(loan.object);
	if ((st = policy_wrap(object_facts(loan.object), object_facts(target), loan.mech, strict)) != HSM_OK)
		goto out;
	if ((st = resident_load(target)) != HSM_OK)
		goto out;
	job.in = secret_in(object_material(target));
	job.record = carries_record(&loan) ? object_facts(target) : NULL;
	if ((st = loan_count(&loan, wrapped, 1)) != HSM_OK)
		goto out;
	st = gate_run(wrap, &job, loan.mech->heap + job.in.len + 8192, loan.mech->depth);
out:
	secret_wipe(&job.clear);
	object_release(target);
	loan_return(&loan);
	return out_settle(wrapped, st);
}

/* ---- coming back ------------------------------------------------------------------------- */

static hsm_status
unwrap(void *arg)
{
	struct job *j = arg;
	const struct mech *m = j->loan->mech;
	const struct key *kek = object_key(j->loan->object);
	hsm_out out;
	hsm_status st;

	if (m->unwrap != NULL)
		return m->unwrap(kek, j->loan->params, j->in, &j->clear);
	if (m->open == NULL)
		return HSM_E_MECH;
	/* Nothing that opens grows. */
	if ((st = secret_alloc(&j->clear, j->in.len + 64)) != HSM_OK)
		return st;
	out = (hsm_out){ j->clear.ptr, j->clear.len, 0 };
	if ((st = m->open(kek, j->loan->params, j->in, &out)) != HSM_OK)
		return st;
	return out.len == 0 ? HSM_E_CIPHERTEXT_LEN : derive_cut(&j->clear, out.len);
}

/* RSA's raw form has the key at the end, the others at the beginning. */
static hsm_status
unwrap_cut(struct job *j, size_t len)
{
	if (len != 0 && j->loan->mech->id == HSM_RSA_X_509 && j->clear.len > len)
		memmove(j->clear.ptr, j->clear.ptr + j->clear.len - len, len);
	return derive_cut(&j->clear, len);
}

/* The record that came along rules: kinds must fit, flags may only tighten. */
static hsm_status
unwrap_record(struct job *j, struct facts **record)
{
	hsm_in view;
	hsm_status st;

	if ((st = object_decode(secret_in(&j->clear), record, &view)) != HSM_OK)
		return st == HSM_E_FORMAT ? HSM_E_CIPHERTEXT : st;
	if (*record == NULL || view.len == 0)
		return HSM_E_CIPHERTEXT;
	memmove(j->clear.ptr, view.ptr, view.len);
	if ((st = derive_cut(&j->clear, view.len)) != HSM_OK)
		return st;
	(*record)->flags &= ~(FACT_LOCAL | FACT_ALWAYS_SENSITIVE | FACT_NEVER_EXTRACTABLE | FACT_TRUSTED);
	return HSM_OK;
}

/* What names the kind of key is read already; the rest changes the record as
 * a copy would. */
static size_t
attrs_rest(const hsm_attr *attrs, size_t n, hsm_attr *rest)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (attrs[i].type != HSM_ATTR_CLASS && attrs[i].type != HSM_ATTR_KEY_TYPE && attrs[i].type != HSM_ATTR_VALUE_LEN)
			rest[kept++] = attrs[i];
	return kept;
}

static hsm_status
unwrap_plan(struct job *j, const hsm_attr *attrs, size_t n, struct object_plan *plan, struct facts_order *order,
	struct facts **record, hsm_attr **rest)
{
	struct derive_target target;
	hsm_status st;

	if ((st = derive_target(attrs, n, j->loan->params, &target)) != HSM_OK)
		return st;
	if (carries_record(j->loan)) {
		if ((st = unwrap_record(j, record)) != HSM_OK)
			return st;
		if (target.typed && (target.spec.type != (*record)->spec.type || target.klass != (*record)->klass))
			return HSM_E_TEMPLATE;
		if ((*rest = calloc(n + 1, sizeof **rest)) == NULL)
			return HSM_E_MEMORY;
		plan->klass = (*record)->klass;
		plan->spec = (*record)->spec;
		plan->from = *record;
		plan->n = attrs_rest(attrs, n, *rest);
		plan->attrs = *rest;
		return HSM_OK;
	}
	if (!target.typed)
		return HSM_E_TEMPLATE_INCOMPLETE;
	if (target.klass != HSM_CLASS_SECRET && target.klass != HSM_CLASS_PRIVATE)
		return HSM_E_TEMPLATE;
	if (target.klass == HSM_CLASS_SECRET && (st = unwrap_cut(j, target.len)) != HSM_OK)
		return st;
	plan->klass = target.klass;
	plan->spec = derive_spec(&target);
	(void)facts_find(object_facts(j->loan->object), HSM_ATTR_UNWRAP_TEMPLATE, &order->template);
	return HSM_OK;
}

hsm_status
hsm_unwrap(hsm_session session, hsm_key kek, hsm_mech mech, const hsm_params *params, hsm_in wrapped,
	const hsm_attr *attrs, size_t n, hsm_key *key)
{
	struct loan loan;
	struct job job = { .loan = &loan, .in = wrapped };
	struct facts_order order = { .how = HOW_UNWRAP, .made_by = UINT64_MAX };
	struct object_plan plan = { .order = &order, .attrs = attrs, .n = n, .material = &job.clear,
		.consistent = true, .inconsistent = HSM_E_KEY_VALUE };
	struct partition *p = NULL;
	struct facts *record = NULL;
	struct object *o = NULL;
	hsm_attr *rest = NULL;
	hsm_status st;

	*key = 0;
	if ((st = loan_take(session, kek, MECH_UNWRAP, mech, params, &loan)) != HSM_OK)
		goto out;
	if ((st = policy_home(loan.session, 0, &p)) != HSM_OK)
		goto out;
	if ((st = gate_run_keep(unwrap, &job, loan.mech->heap + 2 * wrapped.len + 1024, wrapped.len + 64, loan.mech->depth)) != HSM_OK)
		goto out;
	if ((st = unwrap_plan(&job, attrs, n, &plan, &order, &record, &rest)) != HSM_OK)
		goto out;
	plan.session = loan.session;
	plan.part = p;
	st = object_make(&plan, &o);
	if (st == HSM_OK)
		st = object_publish(loan.session, &o, key);
out:
	object_discard(o);
	free(rest);
	facts_free(record);
	secret_wipe(&job.clear);
	partition_release(p);
	loan_return(&loan);
	return st;
}
