/* object.c - sessions, login, attributes, finding, durable objects. */
#include "token.h"

#include <stdlib.h>
#include <string.h>

static enum outcome
plain_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	return outcome;
}

static enum outcome
session_once(void *arg)
{
	CK_SESSION_HANDLE session = 0;
	enum outcome outcome = session_open(&session);

	(void)arg;
	return outcome == DONE ? answered(p11->C_CloseSession(session), "CloseSession") : outcome;
}

static enum outcome
login_once(void *arg)
{
	struct body *b = arg;
	enum outcome outcome = answered(p11->C_Logout(b->session), "Logout");

	return outcome == DONE ? answered(p11->C_Login(b->session, CKU_USER, pin, pin_len), "Login") : outcome;
}

static enum outcome
attribute_once(void *arg)
{
	struct body *b = arg;
	CK_KEY_TYPE type = 0;
	CK_ULONG len = sizeof type;
	enum outcome outcome = attribute_get(b->session, b->key, CKA_KEY_TYPE, (CK_BYTE *)&type, &len);

	return outcome == DONE && type != CKK_AES ? say(WRONG, "the key has another type than it was made with") : outcome;
}

static enum outcome
attribute_open(const struct order *order, void *first, void **body)
{
	const CK_ATTRIBUTE usage[] = { { CKA_ENCRYPT, &yes, 1 } };
	enum outcome outcome = plain_open(order, first, body);

	return outcome == DONE ? secret_make(*body, CKK_AES, usage, COUNT(usage)) : outcome;
}

/* Find by label. The order's size is how many objects the token has; they were
 * made by `--fill`, with numbers from 0. */

enum outcome
object_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, unsigned long number, CK_OBJECT_HANDLE *object)
{
	char label[32];
	int n = snprintf(label, sizeof label, "bench-%08lu", number);
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof class }, { CKA_LABEL, label, (CK_ULONG)n } };
	CK_OBJECT_HANDLE found[2] = { 0, 0 };
	CK_ULONG count = 0;
	enum outcome outcome = answered(p11->C_FindObjectsInit(session, t, COUNT(t)), "FindObjectsInit");

	if (outcome == DONE)
		outcome = answered(p11->C_FindObjects(session, found, 2, &count), "FindObjects");
	if (outcome == DONE)
		outcome = answered(p11->C_FindObjectsFinal(session), "FindObjectsFinal");
	if (outcome == DONE && count != 1)
		outcome = say(WRONG, "%lu objects have a label that one has", count);
	*object = found[0];
	return outcome;
}

static enum outcome
find_once(void *arg)
{
	struct body *b = arg;

	/* 40503 has no divisor with a power of ten: all objects, in no order. */
	b->next = (b->next + 40503) % b->order.size;
	return object_find(b->session, CKO_SECRET_KEY, b->next, &b->other);
}

static enum outcome
find_check(void *arg, FILE *answer)
{
	struct body *b = arg;
	unsigned long id = 0;
	CK_ULONG len = sizeof id;
	enum outcome outcome = find_once(b);

	(void)answer;
	if (outcome == DONE)
		outcome = attribute_get(b->session, b->other, CKA_ID, (CK_BYTE *)&id, &len);
	return outcome == DONE && id != b->next ? say(WRONG, "another object was found") : outcome;
}

static enum outcome
find_open(const struct order *order, void *first, void **body)
{
	enum outcome outcome = plain_open(order, first, body);
	struct body *b = *body;

	if (outcome != DONE)
		return outcome;
	/* What is found is the token's. */
	b->shared = true;
	return order->size == 0 ? say(UNAVAILABLE, "no objects") : find_check(b, NULL);
}

/* Durable key creation; what was made goes when the work is closed. */

static enum outcome
create_once(void *arg)
{
	struct body *b = arg;

	if (b->made_len == b->made_cap) {
		size_t cap = b->made_cap * 2 + 64;
		CK_OBJECT_HANDLE *grown = realloc(b->made, cap * sizeof *grown);

		if (grown == NULL)
			return say(BROKEN, "out of memory");
		b->made = grown;
		b->made_cap = cap;
	}
	return secret_token(b->session, 90000000ul + b->next++, &b->made[b->made_len++]);
}

const struct work object_works[] = {
	{ "session", plain_open, session_once, NULL, body_close, false },
	{ "login", plain_open, login_once, NULL, body_close, false },
	{ "attribute", attribute_open, attribute_once, NULL, body_close, false },
	{ "find", find_open, find_once, find_check, body_close, false },
	{ "create", plain_open, create_once, NULL, body_close, false },
	{ NULL, NULL, NULL, NULL, NULL, false },
};
