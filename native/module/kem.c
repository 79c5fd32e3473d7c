/* kem.c - encapsulation: the shared secret stays inside, or leaves as payload
 * where the key was made for that. */
#include <string.h>

#include "derive.h"
#include "policy.h"

struct job {
	const struct loan *loan;
	hsm_in in;
	hsm_out *ct;
	struct secret shared;
};

static hsm_status
encap(void *arg)
{
	struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->encap == NULL ? HSM_E_MECH : m->encap(object_key(j->loan->object), j->loan->params, j->ct, &j->shared);
}

static hsm_status
decap(void *arg)
{
	struct job *j = arg;
	const struct mech *m = j->loan->mech;

	return m->decap == NULL ? HSM_E_MECH : m->decap(object_key(j->loan->object), j->loan->params, j->in, &j->shared);
}

/* The shared secret becomes a key of the session's partition. */
static hsm_status
shared_keep(struct job *j, uint32_t template, const hsm_attr *attrs, size_t n, hsm_key *key)
{
	struct session *s = j->loan->session;
	struct facts_order order = { .how = HOW_UNWRAP, .made_by = UINT64_MAX };
	struct derive_target target;
	struct partition *p = NULL;
	struct object *o = NULL;
	hsm_status st;

	if ((st = derive_target(attrs, n, j->loan->params, &target)) != HSM_OK)
		return st;
	if (target.klass != HSM_CLASS_SECRET)
		return HSM_E_TEMPLATE;
	if ((st = derive_cut(&j->shared, target.len)) != HSM_OK)
		return st;
	if ((st = policy_home(s, 0, &p)) != HSM_OK)
		return st;
	(void)facts_find(object_facts(j->loan->object), template, &order.template);
	st = object_make(&(struct object_plan){ .session = s, .part = p, .klass = HSM_CLASS_SECRET,
		.spec = derive_spec(&target), .order = &order, .attrs = attrs, .n = n, .material = &j->shared }, &o);
	if (st == HSM_OK)
		st = object_publish(s, &o, key);
	object_discard(o);
	partition_release(p);
	return st;
}

hsm_status
hsm_encapsulate(hsm_session session, hsm_key pub, hsm_mech mech, const hsm_params *params, hsm_out *ciphertext,
	const hsm_attr *attrs, size_t n, hsm_key *key)
{
	struct loan loan;
	struct job job = { .loan = &loan, .ct = ciphertext };
	hsm_status st;

	*key = 0;
	if ((st = loan_take(session, pub, MECH_ENCAP, mech, params, &loan)) != HSM_OK)
		goto out;
	if ((st = gate_run_keep(encap, &job, loan.mech->heap, 256, loan.mech->depth)) != HSM_OK || ciphertext->ptr == NULL)
		goto out;
	if ((st = shared_keep(&job, HSM_ATTR_ENCAPSULATE_TEMPLATE, attrs, n, key)) != HSM_OK)
		bytes_wipe(ciphertext->ptr, ciphertext->len);
out:
	secret_wipe(&job.shared);
	loan_return(&loan);
	return out_settle(ciphertext, st);
}

hsm_status
hsm_decapsulate(hsm_session session, hsm_key priv, hsm_mech mech, const hsm_params *params, hsm_in ciphertext,
	const hsm_attr *attrs, size_t n, hsm_key *key)
{
	struct loan loan;
	struct job job = { .loan = &loan, .in = ciphertext };
	hsm_status st;

	*key = 0;
	if ((st = loan_take(session, priv, MECH_DECAP, mech, params, &loan)) != HSM_OK)
		goto out;
	if ((st = gate_run_keep(decap, &job, loan.mech->heap, 256, loan.mech->depth)) == HSM_OK)
		st = shared_keep(&job, HSM_ATTR_DECAPSULATE_TEMPLATE, attrs, n, key);
out:
	secret_wipe(&job.shared);
	loan_return(&loan);
	return st;
}

hsm_status
hsm_kem_seal(hsm_session session, hsm_key key, hsm_mech mech, hsm_out *ciphertext, hsm_out *secret)
{
	struct loan loan;
	struct job job = { .loan = &loan, .ct = ciphertext };
	hsm_status st;

	secret->len = 0;
	if ((st = loan_take(session, key, MECH_ENCAP, mech, NULL, &loan)) != HSM_OK)
		goto out;
	if ((st = derive_reveals(&loan)) != HSM_OK)
		goto out;
	if ((st = gate_run_keep(encap, &job, loan.mech->heap, 256, loan.mech->depth)) == HSM_OK && ciphertext->ptr != NULL)
		st = derive_show(&job.shared, secret);
out:
	secret_wipe(&job.shared);
	loan_return(&loan);
	return out_settle(ciphertext, out_settle(secret, st));
}

hsm_status
hsm_kem_open(hsm_session session, hsm_key key, hsm_mech mech, hsm_in ciphertext, hsm_out *secret)
{
	struct loan loan;
	struct job job = { .loan = &loan, .in = ciphertext };
	hsm_status st;

	if ((st = loan_take(session, key, MECH_DECAP, mech, NULL, &loan)) != HSM_OK)
		goto out;
	if ((st = derive_reveals(&loan)) != HSM_OK)
		goto out;
	if ((st = gate_run_keep(decap, &job, loan.mech->heap, 256, loan.mech->depth)) == HSM_OK)
		st = derive_show(&job.shared, secret);
out:
	secret_wipe(&job.shared);
	loan_return(&loan);
	return out_settle(secret, st);
}
