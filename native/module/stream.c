/* stream.c - operations of many parts.
 *
 * hsm_begin takes the key's loan and keeps it in the session: what follows
 * touches nothing that other threads touch. The row's stream is begun with the
 * first part, so that hsm_once costs what one call costs. An operation ends
 * with its result or its failure; a question for the size, and room that was
 * too small, leave it as it was. */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../crypto/rng.h"
#include "attrs.h"
#include "loan.h"

#define ROOM 192u                       /* parameters that need no allocation */
#define GATHER_MAX (1u << 20)           /* bytes kept for rows without streams */
#define IV_LEN 12u

struct operation {
	_Alignas(64) bool active, started, waiting;
	bool approved;
	uint32_t use;
	const struct mech *mech;
	struct object *object;          /* on loan; NULL: a digest */
	hsm_params params;              /* its ranges lie in room or spill */
	uint8_t *spill;
	struct stream stream;
	bool streaming;
	struct secret gathered;         /* rows without stream slots */
	size_t gathered_len;
	uint8_t iv[IV_LEN];             /* made when the operation began */
	uint8_t room[ROOM];
};

/* ---- life --------------------------------------------------------------------------------- */

/* A session's operation of one use, made when it is first asked for. Whole
 * lines: what two sessions do touches nothing in common. */
static struct operation *
operation_of(struct operation **slot)
{
	if (*slot == NULL && (*slot = aligned_alloc(_Alignof(struct operation), sizeof **slot)) != NULL)
		memset(*slot, 0, sizeof **slot);
	return *slot;
}

void
operation_end(struct operation *op)
{
	if (op == NULL || !op->active)
		return;
	if (op->streaming)
		op->mech->end(&op->stream);
	secret_wipe(&op->gathered);
	object_release(op->object);
	free(op->spill);
	op->active = op->started = op->waiting = op->streaming = false;
	op->object = NULL;
	op->spill = NULL;
	op->gathered_len = 0;
}

/* The ranges of params, copied behind each other. */
static hsm_status
params_keep(struct operation *op, const hsm_params *from)
{
	hsm_in *const ranges[] = { &op->params.iv, &op->params.aad, &op->params.label, &op->params.salt, &op->params.peer, &op->params.data };
	uint8_t *at = op->room;
	size_t len = 0;

	op->params = *from;
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		if (ranges[i]->len > SIZE_MAX - len)
			return HSM_E_PARAM;
		len += ranges[i]->len;
	}
	if (len > ROOM && (at = op->spill = malloc(len)) == NULL)
		return HSM_E_MEMORY;
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		if (ranges[i]->len == 0)
			continue;
		memcpy(at, ranges[i]->ptr, ranges[i]->len);
		ranges[i]->ptr = at;
		at += ranges[i]->len;
	}
	return HSM_OK;
}

static hsm_status
iv_draw(void *arg)
{
	return rng_nonce(arg, IV_LEN);
}

/* An iv that the caller wants to know is made when the operation begins: the
 * place to write it to need not outlive this call. */
static hsm_status
params_iv(struct operation *op)
{
	hsm_out *out = op->params.iv_out;
	hsm_status st;

	if (op->params.tag_out != NULL)
		return HSM_E_PARAM;
	op->params.iv_out = NULL;
	if (out == NULL || (op->params.flags & HSM_PARAM_IV_MADE) == 0)
		return HSM_OK;
	if (op->use != MECH_ENCRYPT || op->params.iv.len != 0 || out->ptr == NULL)
		return HSM_E_PARAM;
	if ((st = out_need(out, IV_LEN)) != HSM_OK)
		return st;
	if ((st = gate_run(iv_draw, op->iv, 0, 2048)) != HSM_OK)
		return st;
	op->params.iv = (hsm_in){ op->iv, IV_LEN };
	memcpy(out->ptr, op->iv, IV_LEN);
	op->params.flags &= ~HSM_PARAM_IV_MADE;
	return HSM_OK;
}

static hsm_status
operation_begin(struct session *s, struct operation *op, uint32_t use, hsm_key key, const struct mech *mech, const hsm_params *params)
{
	hsm_status st;

	op->use = use;
	op->mech = mech;
	op->object = NULL;
	op->spill = NULL;
	if (use == MECH_DIGEST) {
		if (key != 0 || (mech->flags & MECH_DIGEST) == 0)
			return HSM_E_MECH;
	} else {
		if ((st = object_acquire(s, key, use, mech, &op->object)) != HSM_OK)
			return st;
		op->waiting = (object_facts(op->object)->flags & FACT_ALWAYS_ASKS) != 0;
	}
	op->active = true;
	if ((st = gate_indicate(mech, use == MECH_DIGEST ? NULL : object_key(op->object), use, params)) != HSM_OK)
		return st;
	op->approved = hsm_approved();
	/* One message, whether it is finished or not. */
	if ((mech->flags & MECH_COUNTED) != 0 && (use == MECH_ENCRYPT || use == MECH_SIGN) && (st = invocations_count(op->object, 1)) != HSM_OK)
		return st;
	if ((st = params_keep(op, params)) != HSM_OK)
		return st;
	return params_iv(op);
}

/* Alone with the session, and its operation of this use. */
static hsm_status
operation_take(hsm_session session, uint32_t use, struct session **s, struct operation **op)
{
	struct operation **slot;
	hsm_status st;

	*op = NULL;
	if ((st = session_take(session, s)) != HSM_OK)
		return st;
	if ((slot = session_operation(*s, use)) == NULL)
		return HSM_E_ARGS;
	if (*slot == NULL || !(*slot)->active)
		return HSM_E_OP_INACTIVE;
	*op = *slot;
	return HSM_OK;
}

hsm_status
hsm_begin(hsm_session session, uint32_t use, hsm_key key, hsm_mech mech, const hsm_params *params)
{
	const struct mech *row = mech_find(mech);
	struct operation **slot;
	struct session *s;
	hsm_status st;

	if ((st = session_take(session, &s)) != HSM_OK)
		return st;
	if ((slot = session_operation(s, use)) == NULL) {
		st = HSM_E_ARGS;
		goto out;
	}
	if (operation_of(slot) == NULL) {
		st = HSM_E_MEMORY;
		goto out;
	}
	if ((*slot)->active)
		st = HSM_E_OP_ACTIVE;
	else if (row == NULL)
		st = HSM_E_MECH;
	else if ((st = operation_begin(s, *slot, use, key, row, params != NULL ? params : &params_none)) != HSM_OK)
		operation_end(*slot);
out:
	session_give(s);
	return st;
}

/* ---- steps ---------------------------------------------------------------------------------- */

struct step { struct operation *op; hsm_in in, sig; hsm_out *out; };

static hsm_status
step_once(void *arg)
{
	const struct step *x = arg;
	const struct operation *op = x->op;
	const struct mech *m = op->mech;
	const struct key *key = op->object != NULL ? object_key(op->object) : NULL;

	switch (op->use) {
	case MECH_ENCRYPT:
		return m->seal == NULL ? HSM_E_MECH : m->seal(key, &op->params, x->in, x->out);
	case MECH_DECRYPT:
		return m->open == NULL ? HSM_E_MECH : m->open(key, &op->params, x->in, x->out);
	case MECH_SIGN:
		return m->sign == NULL ? HSM_E_MECH : m->sign(key, &op->params, x->in, x->out);
	case MECH_VERIFY:
		return m->verify == NULL ? HSM_E_MECH : m->verify(key, &op->params, x->in, x->sig);
	case MECH_RECOVER:
		return m->recover == NULL ? HSM_E_MECH : m->recover(key, &op->params, x->in, x->out);
	default:
		return m->digest == NULL ? HSM_E_MECH : m->digest(&op->params, x->in, x->out);
	}
}

static hsm_status
step_begin(void *arg)
{
	struct step *x = arg;
	struct operation *op = x->op;

	op->stream = (struct stream){ .mech = op->mech, .key = op->object != NULL ? object_key(op->object) : NULL,
		.use = op->use, .params = op->params };
	op->streaming = true;           /* to be ended, however far it came */
	return op->mech->begin(&op->stream);
}

static hsm_status
step_update(void *arg)
{
	struct step *x = arg;
	hsm_status st;

	if (!x->op->streaming && (st = step_begin(x)) != HSM_OK)
		return st;
	return x->op->mech->update(&x->op->stream, x->in, x->out);
}

static hsm_status
step_final(void *arg)
{
	struct step *x = arg;
	hsm_status st;

	if (!x->op->streaming && (st = step_begin(x)) != HSM_OK)
		return st;
	return x->op->mech->final(&x->op->stream, x->sig, x->out);
}

static hsm_status
step_run(struct step *x, hsm_status (*step)(void *arg))
{
	const struct mech *m = x->op->mech;
	/* What a stream begins with stays until it ends. */
	size_t keep = step == step_update && !x->op->streaming ? m->heap : 0;

	gate_approved(x->op->approved);
	if (step == step_once)
		return gate_run_row(m, x->in.len + x->op->params.aad.len, step, x);
	return gate_run_keep(step, x, m->heap, keep, m->depth);
}

static bool
row_streams(const struct mech *m)
{
	return m->begin != NULL && m->update != NULL && m->final != NULL;
}

/* Rows that only know whole messages: keep the parts, in the arena. */
static hsm_status
gather(struct operation *op, hsm_in in)
{
	struct secret more;
	size_t cap = op->gathered.len;
	hsm_status st;

	if (in.len > GATHER_MAX - op->gathered_len)
		return HSM_E_DATA_LEN;
	if (op->gathered_len + in.len > cap) {
		for (cap = cap == 0 ? 256 : cap; cap < op->gathered_len + in.len;)
			cap *= 2;
		if ((st = secret_alloc(&more, cap)) != HSM_OK)
			return st;
		if (op->gathered_len != 0)
			memcpy(more.ptr, op->gathered.ptr, op->gathered_len);
		secret_wipe(&op->gathered);
		secret_move(&op->gathered, &more);
	}
	if (in.len != 0)
		memcpy(op->gathered.ptr + op->gathered_len, in.ptr, in.len);
	op->gathered_len += in.len;
	return HSM_OK;
}

struct gathering { struct operation *op; hsm_in in; };

static hsm_status
step_gather(void *arg)
{
	struct gathering *g = arg;

	return gather(g->op, g->in);
}

/* ---- the face --------------------------------------------------------------------------------- */

/* Did this answer leave the operation as it was? */
static bool
stays(hsm_status st, const hsm_out *out)
{
	return st == HSM_E_BUFFER || (st == HSM_OK && out != NULL && out->ptr == NULL);
}

static hsm_status
settle(hsm_status st, hsm_out *out)
{
	return out != NULL ? out_settle(out, st) : st;
}

hsm_status
hsm_once(hsm_session session, uint32_t use, hsm_in in, hsm_in sig, hsm_out *out)
{
	struct session *s = NULL;
	struct step x = { .in = in, .sig = sig, .out = out };
	hsm_status st;

	if ((st = operation_take(session, use, &s, &x.op)) != HSM_OK)
		goto out;
	if (x.op->started) {
		st = HSM_E_OP_ACTIVE;
		goto out;
	}
	if (x.op->waiting) {
		st = HSM_E_NOT_LOGGED_IN;
		goto out;
	}
	st = out == NULL && use != MECH_VERIFY ? HSM_E_ARGS : step_run(&x, step_once);
	if (!stays(st, use == MECH_VERIFY ? NULL : out))
		operation_end(x.op);
out:
	session_give(s);
	return settle(st, out);
}

hsm_status
hsm_update(hsm_session session, uint32_t use, hsm_in in, hsm_out *out)
{
	struct session *s = NULL;
	hsm_out nothing = { NULL, 0, 0 };
	struct step x = { .in = in, .out = out != NULL ? out : &nothing };
	bool gives = use == MECH_ENCRYPT || use == MECH_DECRYPT, asks;
	hsm_status st;

	if ((st = operation_take(session, use, &s, &x.op)) != HSM_OK)
		goto out;
	if (x.op->waiting) {
		st = HSM_E_NOT_LOGGED_IN;
		goto out;
	}
	if (row_streams(x.op->mech)) {
		st = step_run(&x, step_update);
	} else {
		x.out->len = 0;
		st = gate_run(step_gather, &(struct gathering){ x.op, in }, 2 * in.len + 1024, 4096);
	}
	asks = gives && row_streams(x.op->mech) && stays(st, x.out);
	if (st != HSM_OK && !asks)
		operation_end(x.op);
	else if (!asks)
		x.op->started = true;
out:
	session_give(s);
	return settle(st, out);
}

hsm_status
hsm_final(hsm_session session, uint32_t use, hsm_in sig, hsm_out *out)
{
	struct session *s = NULL;
	struct step x = { .sig = sig, .out = out };
	hsm_status st;

	if ((st = operation_take(session, use, &s, &x.op)) != HSM_OK)
		goto out;
	if (x.op->waiting) {
		st = HSM_E_NOT_LOGGED_IN;
		goto out;
	}
	x.in = (hsm_in){ x.op->gathered.ptr, x.op->gathered_len };
	if (out == NULL && use != MECH_VERIFY)
		st = HSM_E_ARGS;
	else
		st = step_run(&x, row_streams(x.op->mech) ? step_final : step_once);
	if (!stays(st, use == MECH_VERIFY ? NULL : out))
		operation_end(x.op);
out:
	session_give(s);
	return settle(st, out);
}

/* C_DigestKey: only of keys that may leave anyway. */
hsm_status
hsm_update_key(hsm_session session, hsm_key key)
{
	struct session *s = NULL;
	struct object *o = NULL;
	hsm_out nothing = { NULL, 0, 0 };
	struct step x = { .out = &nothing };
	hsm_status st;

	if ((st = operation_take(session, MECH_DIGEST, &s, &x.op)) != HSM_OK)
		goto out;
	if (session_role(s) == HSM_ROLE_SERVICE || session_role(s) == HSM_ROLE_CALLER)
		st = HSM_E_ROLE;
	else if ((st = object_acquire(s, key, USE_SEAL, NULL, &o)) == HSM_OK) {
		if (object_facts(o)->klass != HSM_CLASS_SECRET)
			st = HSM_E_KEY_TYPE;
		else if ((object_facts(o)->flags & FACT_EXTRACTABLE) == 0 || object_strict(o) || !row_streams(x.op->mech))
			st = HSM_E_POLICY;
	}
	if (st == HSM_OK) {
		x.in = secret_in(object_material(o));
		st = step_run(&x, step_update);
		x.op->started = true;
	}
	if (st != HSM_OK)
		operation_end(x.op);
out:
	object_release(o);
	session_give(s);
	return st;
}

hsm_status
hsm_cancel(hsm_session session, uint32_t use)
{
	struct session *s = NULL;
	struct operation *op;
	hsm_status st;

	if ((st = operation_take(session, use, &s, &op)) == HSM_OK)
		operation_end(op);
	session_give(s);
	return st;
}

struct copying { const struct operation *from; struct operation *to; };

static hsm_status
step_copy(void *arg)
{
	struct copying *x = arg;
	hsm_status st;

	x->to->stream = x->from->stream;
	x->to->stream.params = x->to->params;
	x->to->stream.ctx = NULL;
	st = x->from->mech->clone(&x->from->stream, &x->to->stream);
	x->to->streaming = x->to->stream.ctx != NULL;
	return st;
}

static hsm_status
digest_copy(const struct operation *from, struct session *s)
{
	struct operation **slot = session_operation(s, MECH_DIGEST);
	struct copying x = { .from = from };
	hsm_status st;

	if (from->mech->clone == NULL)
		return HSM_E_UNSUPPORTED;
	if (operation_of(slot) == NULL)
		return HSM_E_MEMORY;
	x.to = *slot;
	operation_end(x.to);
	*x.to = (struct operation){ .active = true, .started = from->started, .approved = from->approved, .use = MECH_DIGEST,
		.mech = from->mech };
	if ((st = params_keep(x.to, &from->params)) == HSM_OK && from->streaming)
		st = gate_run(step_copy, &x, from->mech->heap, from->mech->depth);
	if (st != HSM_OK)
		operation_end(x.to);
	return st;
}

/* Both sessions are locked, the lower number first, as by everybody who locks
 * two. */
hsm_status
hsm_digest_copy(hsm_session from, hsm_session to)
{
	struct session *a = NULL, *b = NULL;
	struct operation **op;
	hsm_status st;

	if (from == to)
		return HSM_E_ARGS;
	if ((st = session_acquire(from, &a)) != HSM_OK || (st = session_acquire(to, &b)) != HSM_OK)
		goto out;
	if (session_partition(a) != session_partition(b)) {
		st = HSM_E_PARTITION;
		goto out;
	}
	session_lock(from < to ? a : b);
	session_lock(from < to ? b : a);
	op = session_operation(a, MECH_DIGEST);
	st = *op == NULL || !(*op)->active ? HSM_E_OP_INACTIVE : digest_copy(*op, b);
	session_unlock(a);
	session_unlock(b);
out:
	session_release(b);
	session_release(a);
	return st;
}

/* ---- for session.c ------------------------------------------------------------------------------ */

static const uint32_t uses[] = { MECH_ENCRYPT, MECH_DECRYPT, MECH_SIGN, MECH_VERIFY, MECH_DIGEST, MECH_RECOVER };

#define EACH_OPERATION(s, op) \
	for (size_t i_ = 0; i_ < sizeof uses / sizeof *uses; i_++) \
		if (((op) = *session_operation((s), uses[i_])) != NULL && (op)->active)

bool
operation_waiting(struct session *s)
{
	struct operation *op;
	bool waiting = false;

	session_lock(s);
	EACH_OPERATION(s, op)
		waiting = waiting || op->waiting;
	session_unlock(s);
	return waiting;
}

void
operation_arm(struct session *s)
{
	struct operation *op;

	session_lock(s);
	EACH_OPERATION(s, op)
		op->waiting = false;
	session_unlock(s);
}

void
operation_cancel_all(struct session *s)
{
	struct operation *op;

	session_lock(s);
	EACH_OPERATION(s, op)
		operation_end(op);
	session_unlock(s);
}
