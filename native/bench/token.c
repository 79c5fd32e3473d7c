#include "token.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

CK_FUNCTION_LIST *p11;
CK_FUNCTION_LIST_3_2 *p11_3;
CK_SLOT_ID slot;
CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
CK_UTF8CHAR pin[256];
CK_ULONG pin_len;

/* Its login is the process's; closing the last session would log out. */
static CK_SESSION_HANDLE keeper;

enum outcome
answered(CK_RV rv, const char *call)
{
	switch (rv) {
	case CKR_OK:
		return DONE;
	case CKR_MECHANISM_INVALID:
	case CKR_MECHANISM_PARAM_INVALID:
	case CKR_FUNCTION_NOT_SUPPORTED:
	case CKR_ATTRIBUTE_TYPE_INVALID:
	case CKR_ATTRIBUTE_VALUE_INVALID:
	case CKR_CURVE_NOT_SUPPORTED:
	case CKR_DOMAIN_PARAMS_INVALID:
	case CKR_KEY_TYPE_INCONSISTENT:
	case CKR_KEY_SIZE_RANGE:
	case CKR_TEMPLATE_INCONSISTENT:
		return say(UNAVAILABLE, "C_%s answers 0x%lx", call, rv);
	default:
		return say(BROKEN, "C_%s answers 0x%lx", call, rv);
	}
}

/* dlsym gives an object's address; a function's has the same shape here. */
static void
symbol(void *image, const char *name, void *into)
{
	void *found = dlsym(image, name);

	memcpy(into, &found, sizeof found);
}

static enum outcome
module_load(const char *path)
{
	static CK_VERSION newest = { 3, 2 };
	CK_C_GetFunctionList list = NULL;
	CK_C_GetInterface get = NULL;
	CK_INTERFACE *found = NULL;
	void *image = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (image == NULL)
		return say(BROKEN, "%s", dlerror());
	symbol(image, "C_GetFunctionList", &list);
	symbol(image, "C_GetInterface", &get);
	if (get != NULL && get((CK_UTF8CHAR *)(uintptr_t) "PKCS 11", &newest, &found, 0) == CKR_OK && found != NULL)
		p11_3 = found->pFunctionList;
	if (list == NULL)
		return say(BROKEN, "%s has no C_GetFunctionList", path);
	return answered(list(&p11), "GetFunctionList");
}

/* NSS reads its string from where the standard has pReserved, and its own
 * reserved pointer behind that. */
static enum outcome
module_start(const char *args)
{
	struct {
		CK_C_INITIALIZE_ARGS standard;
		void *reserved;
	} init = { { .flags = CKF_OS_LOCKING_OK }, NULL };

	init.standard.pReserved = (void *)(uintptr_t)args;
	return answered(p11->C_Initialize(&init), "Initialize");
}

static enum outcome
pin_read(const char *path)
{
	FILE *f = path == NULL ? NULL : fopen(path, "r");
	char *line = (char *)pin;

	if (f == NULL)
		return path == NULL ? DONE : say(BROKEN, "the PIN file cannot be read");
	if (fgets(line, sizeof pin, f) != NULL)
		pin_len = (CK_ULONG)strcspn(line, "\r\n");
	(void)fclose(f);
	return pin_len > 0 ? DONE : say(BROKEN, "the PIN file is empty");
}

static void
label_pad(CK_UTF8CHAR *out, const char *label)
{
	memset(out, ' ', 32);
	memcpy(out, label, strlen(label) > 32 ? 32 : strlen(label));
}

/* The slot with the token that is meant. To make one: that which has none, or
 * whose token has no PIN yet and can be written. */
static enum outcome
slot_find(const char *label, bool fresh, CK_TOKEN_INFO *info)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = COUNT(slots);
	CK_UTF8CHAR wanted[32];
	CK_RV rv = p11->C_GetSlotList(CK_FALSE, slots, &count);

	if (rv != CKR_OK)
		return answered(rv, "GetSlotList");
	label_pad(wanted, label == NULL ? "" : label);
	for (CK_ULONG i = 0; i < count; i++) {
		bool set, suits;

		if (p11->C_GetTokenInfo(slots[i], info) != CKR_OK)
			continue;
		set = (info->flags & CKF_USER_PIN_INITIALIZED) != 0;
		suits = fresh ? !set && (info->flags & CKF_WRITE_PROTECTED) == 0
		    : label == NULL ? set : memcmp(info->label, wanted, 32) == 0;
		if (suits) {
			slot = slots[i];
			return DONE;
		}
	}
	return say(BROKEN, fresh ? "no slot takes a new token" : "no such token, or its PIN is not set");
}

/* SoftHSM moves a token that was made to a slot of another number; NSS leaves
 * it where it is, under a label of its own. */
static void
slot_follow(const char *label)
{
	CK_TOKEN_INFO info;
	CK_SLOT_ID was = slot;

	if (slot_find(label, false, &info) != DONE)
		slot = was;
}

/* The SO has the PIN that the token was made with; none in NSS's database. */
static enum outcome
so_login(CK_SESSION_HANDLE session)
{
	CK_UTF8CHAR empty[1] = { 0 };

	if (p11->C_Login(session, CKU_SO, pin, pin_len) == CKR_OK)
		return DONE;
	return answered(p11->C_Login(session, CKU_SO, empty, 0), "Login");
}

static enum outcome
token_make(const char *label)
{
	CK_TOKEN_INFO info;
	CK_UTF8CHAR padded[32];
	CK_SESSION_HANDLE session = 0;
	enum outcome outcome = slot_find(label, true, &info);

	if (outcome != DONE)
		return outcome;
	label_pad(padded, label == NULL ? "bench" : label);
	if ((info.flags & CKF_TOKEN_INITIALIZED) == 0) {
		if ((outcome = answered(p11->C_InitToken(slot, pin, pin_len, padded), "InitToken")) != DONE)
			return outcome;
		slot_follow(label == NULL ? "bench" : label);
	}
	if ((outcome = session_open(&session)) != DONE)
		return outcome;
	outcome = so_login(session);
	if (outcome == DONE)
		outcome = answered(p11->C_InitPIN(session, pin, pin_len), "InitPIN");
	(void)p11->C_Logout(session);
	(void)p11->C_CloseSession(session);
	return outcome;
}

enum outcome
session_open(CK_SESSION_HANDLE *session)
{
	return answered(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, session), "OpenSession");
}

enum outcome
token_open(const struct options *options, bool login)
{
	CK_TOKEN_INFO info;
	enum outcome outcome = module_load(options->module);

	if (outcome == DONE)
		outcome = pin_read(options->pin_file);
	if (outcome == DONE)
		outcome = module_start(options->args);
	if (outcome == DONE && options->init)
		outcome = token_make(options->token);
	else if (outcome == DONE)
		outcome = slot_find(options->token, false, &info);
	if (outcome != DONE || !login)
		return outcome;
	if ((outcome = session_open(&keeper)) != DONE)
		return outcome;
	return answered(p11->C_Login(keeper, CKU_USER, pin_len == 0 ? NULL : pin, pin_len), "Login");
}

void
token_close(void)
{
	(void)p11->C_Finalize(NULL);
}

enum outcome
body_open(const struct order *order, void *first, struct body **body)
{
	struct body *b = calloc(1, sizeof *b), *leader = first;

	*body = NULL;
	if (b == NULL)
		return say(BROKEN, "out of memory");
	b->order = *order;
	b->out_cap = (CK_ULONG)order->size + 8192;
	b->out = malloc(b->out_cap);
	b->back = malloc(b->out_cap);
	*body = b;
	if (b->out == NULL || b->back == NULL)
		return say(BROKEN, "out of memory");
	if (leader != NULL && !order->own_key) {
		b->shared = true;
		b->known = leader->known;
		b->key = leader->key;
		b->pub = leader->pub;
		b->other = leader->other;
	}
	return session_open(&b->session);
}

void
body_close(void *arg)
{
	struct body *b = arg;

	if (b == NULL)
		return;
	for (size_t i = 0; i < b->made_len; i++)
		(void)p11->C_DestroyObject(b->session, b->made[i]);
	if (!b->shared && b->session != 0) {
		CK_OBJECT_HANDLE objects[] = { b->key, b->pub, b->other };

		for (size_t i = 0; i < COUNT(objects); i++)
			if (objects[i] != 0)
				(void)p11->C_DestroyObject(b->session, objects[i]);
	}
	if (b->session != 0)
		(void)p11->C_CloseSession(b->session);
	free(b->made);
	free(b->out);
	free(b->back);
	free(b);
}
