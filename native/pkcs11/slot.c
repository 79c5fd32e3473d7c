/* slot.c - slots: one for each token's file in HOME/tokens, by its number, and
 * one free slot that C_InitToken fills. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "door.h"
#include "text.h"

#define SLOTS_MAX 4096u

static struct slot *_Atomic slots[SLOTS_MAX];
static _Atomic size_t slots_len;
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;  /* adding, scanning */
static char home[PATH_MAX];
static bool home_known;

struct slot *
ck_slot_find(CK_SLOT_ID id)
{
	size_t n = atomic_load(&slots_len);

	for (size_t i = 0; i < n; i++)
		if (slots[i]->id == id)
			return slots[i];
	return NULL;
}

static struct slot *
slot_add(CK_SLOT_ID id)
{
	size_t n = atomic_load(&slots_len);
	struct slot *slot;

	if (n == SLOTS_MAX || (slot = calloc(1, sizeof *slot)) == NULL)
		return NULL;
	slot->id = id;
	pthread_mutex_init(&slot->lock, NULL);
	slots[n] = slot;
	atomic_store(&slots_len, n + 1);
	return slot;
}

/* The free slot: the first without a token, else a new one past the last. */
static struct slot *
slot_free(void)
{
	size_t n = atomic_load(&slots_len);
	CK_SLOT_ID next = 0;

	for (size_t i = 0; i < n; i++) {
		if (!slots[i]->present)
			return slots[i];
		if (slots[i]->id >= next)
			next = slots[i]->id + 1;
	}
	return slot_add(next);
}

/* With the slot's lock held: what was attached is the file that is there, or
 * sessions still hang on it. */
static void
slot_let_go(struct slot *slot)
{
	if (slot->token == NULL || slot->sessions != 0 || !token_gone(slot->token))
		return;
	token_detach(slot->token);
	slot->token = NULL;
}

/* A token came or went, here or in another process. A token that went while
 * sessions use it stays until they are closed. */
static void
slot_see(struct slot *slot, bool present, bool first)
{
	pthread_mutex_lock(&slot->lock);
	slot_let_go(slot);
	if (present != slot->present) {
		slot->present = present || slot->token != NULL;
		slot->event = !first;
	}
	pthread_mutex_unlock(&slot->lock);
}

static bool
number_in(const uint32_t *numbers, size_t n, CK_SLOT_ID id)
{
	return id <= UINT32_MAX && bsearch(&(uint32_t){ (uint32_t)id }, numbers, n, sizeof *numbers, text_number_order) != NULL;
}

static CK_RV
slots_scan(bool first)
{
	static uint32_t numbers[SLOTS_MAX];
	CK_RV rv = CKR_OK;
	size_t count = 0, n;

	pthread_mutex_lock(&slots_lock);
	/* A home that cannot be read holds no tokens we could serve. */
	if (home_known && token_scan(home, numbers, SLOTS_MAX, &count) != HSM_OK)
		count = 0;
	if (count > SLOTS_MAX)
		count = SLOTS_MAX;
	for (size_t i = 0; i < count && rv == CKR_OK; i++)
		if (ck_slot_find(numbers[i]) == NULL && slot_add(numbers[i]) == NULL)
			rv = CKR_HOST_MEMORY;
	n = atomic_load(&slots_len);
	for (size_t i = 0; i < n; i++)
		slot_see(slots[i], number_in(numbers, count, slots[i]->id), first);
	if (rv == CKR_OK && slot_free() == NULL)
		rv = CKR_HOST_MEMORY;
	pthread_mutex_unlock(&slots_lock);
	return rv;
}

CK_RV
ck_slots_open(void)
{
	home_known = token_home(home) == HSM_OK;
	return slots_scan(true);
}

void
ck_slots_close(void)
{
	size_t n = atomic_exchange(&slots_len, 0);

	for (size_t i = 0; i < n; i++) {
		token_detach(slots[i]->token);
		free(slots[i]->objects);
		pthread_mutex_destroy(&slots[i]->lock);
		free(slots[i]);
		slots[i] = NULL;
	}
}

void
ck_slots_forget(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	memcpy(&slots_lock, &fresh, sizeof slots_lock);
	atomic_store(&slots_len, 0);
}

static CK_RV
attach_rv(hsm_status st)
{
	switch (st) {
	case HSM_E_INTEGRITY:
	case HSM_E_FORMAT:
		return CKR_TOKEN_NOT_RECOGNIZED;
	default:
		return rv_from(st);
	}
}

/* With the slot's lock held. */
static CK_RV
slot_attach(struct slot *slot)
{
	slot_let_go(slot);
	if (slot->token != NULL)
		return CKR_OK;
	return slot->present ? attach_rv(token_attach(home, (uint32_t)slot->id, &slot->token)) : CKR_TOKEN_NOT_INITIALIZED;
}

CK_RV
ck_slot_token(struct slot *slot, struct token **token)
{
	CK_RV rv;

	pthread_mutex_lock(&slot->lock);
	rv = slot_attach(slot);
	*token = slot->token;
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

/* ---- C_ --------------------------------------------------------------------- */

static int
id_order(const void *a, const void *b)
{
	CK_SLOT_ID x = *(const CK_SLOT_ID *)a, y = *(const CK_SLOT_ID *)b;

	return x < y ? -1 : x > y;
}

static size_t
slots_ids(CK_SLOT_ID ids[SLOTS_MAX])
{
	size_t n = atomic_load(&slots_len), count = 0;
	bool free_seen = false;

	for (size_t i = 0; i < n; i++) {
		if (!slots[i]->present && free_seen)
			continue;       /* of a token that went; one free slot is enough */
		free_seen = free_seen || !slots[i]->present;
		ids[count++] = slots[i]->id;
	}
	qsort(ids, count, sizeof *ids, id_order);
	return count;
}

CK_RV
C_GetSlotList(CK_BBOOL token_present, CK_SLOT_ID *list, CK_ULONG *count)
{
	CK_SLOT_ID *ids = NULL;
	size_t n;
	CK_RV rv;

	(void)token_present;            /* a free slot's token is there, to be initialised */
	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	if ((ids = malloc(SLOTS_MAX * sizeof *ids)) == NULL) {
		rv = CKR_HOST_MEMORY;
		goto out;
	}
	if ((rv = slots_scan(false)) != CKR_OK)
		goto out;
	n = slots_ids(ids);
	if (list != NULL && *count < n)
		rv = CKR_BUFFER_TOO_SMALL;
	else if (list != NULL)
		memcpy(list, ids, n * sizeof *ids);
	*count = n;
out:
	free(ids);
	door_leave();
	return rv;
}

CK_RV
C_GetSlotInfo(CK_SLOT_ID id, CK_SLOT_INFO *info)
{
	CK_RV rv;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	if (ck_slot_find(id) == NULL) {
		rv = CKR_SLOT_ID_INVALID;
		goto out;
	}
	memset(info, 0, sizeof *info);
	text_pad(info->slotDescription, sizeof info->slotDescription, "Strongroom slot %lu", id);
	text_pad(info->manufacturerID, sizeof info->manufacturerID, "Strongroom");
	info->flags = CKF_TOKEN_PRESENT;
	info->hardwareVersion = info->firmwareVersion = text_version();
out:
	door_leave();
	return rv;
}

static void
token_info_fixed(CK_TOKEN_INFO *info)
{
	hsm_info core;

	memset(info, 0, sizeof *info);
	memset(info->label, ' ', sizeof info->label);
	memset(info->serialNumber, ' ', sizeof info->serialNumber);
	text_pad(info->manufacturerID, sizeof info->manufacturerID, "Strongroom");
	text_pad(info->model, sizeof info->model, "Strongroom");
	info->flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_RESTORE_KEY_NOT_NEEDED | CKF_DUAL_CRYPTO_OPERATIONS | CKF_CLOCK_ON_TOKEN;
	if (pin_configured(CKU_USER))
		info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	if (hsm_describe(&core) == HSM_OK && core.weakened)
		info->flags |= CKF_STRONGROOM_WEAKENED;
	info->ulMaxSessionCount = info->ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE;
	info->ulMaxPinLen = HSM_PIN_MAX;
	info->ulMinPinLen = HSM_PIN_MIN;
	info->ulTotalPublicMemory = info->ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION;
	info->ulTotalPrivateMemory = info->ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION;
	info->hardwareVersion = info->firmwareVersion = text_version();
	text_utc(info->utcTime);
}

static CK_FLAGS
pin_flags(uint32_t tries, CK_FLAGS low, CK_FLAGS final, CK_FLAGS locked)
{
	if (tries == 0)
		return locked;
	return (tries < HSM_PIN_TRIES ? low : 0) | (tries == 1 ? final : 0);
}

static CK_RV
token_info_live(struct slot *slot, struct token *token, CK_TOKEN_INFO *info)
{
	hsm_token_info about;
	hsm_status st = token_describe(token, info->label, &about);

	if (st != HSM_OK)
		return attach_rv(st);
	text_hex(info->serialNumber, about.id, sizeof info->serialNumber / 2);
	info->flags |= CKF_TOKEN_INITIALIZED;
	if (about.user_pin)
		info->flags |= CKF_USER_PIN_INITIALIZED
		    | pin_flags(about.user_tries, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
	info->flags |= pin_flags(about.so_tries, CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
	info->ulSessionCount = slot->sessions;
	info->ulRwSessionCount = slot->rw_sessions;
	return CKR_OK;
}

CK_RV
C_GetTokenInfo(CK_SLOT_ID id, CK_TOKEN_INFO *info)
{
	struct slot *slot;
	CK_RV rv;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	if ((slot = ck_slot_find(id)) == NULL) {
		rv = CKR_SLOT_ID_INVALID;
		goto out;
	}
	token_info_fixed(info);
	pthread_mutex_lock(&slot->lock);        /* the token may be let go otherwise */
	if ((rv = slot_attach(slot)) == CKR_OK)
		rv = token_info_live(slot, slot->token, info);
	else if (rv == CKR_TOKEN_NOT_INITIALIZED)
		rv = CKR_OK;
	pthread_mutex_unlock(&slot->lock);
out:
	door_leave();
	return rv;
}

static bool
policy_strict(void)
{
	const char *policy = secure_getenv("STRONGROOM_TOKEN_POLICY");

	return policy != NULL && strcmp(policy, "strict") == 0;
}

/* With the slot's lock held and no session open. */
static CK_RV
slot_init(struct slot *slot, hsm_in pin, const CK_UTF8CHAR *label)
{
	hsm_status st;

	slot_let_go(slot);
	if (slot->token == NULL && slot->present
	    && (st = token_attach(home, (uint32_t)slot->id, &slot->token)) != HSM_OK)
		return attach_rv(st);
	if (slot->token != NULL)
		return rv_from(token_reset(slot->token, label, pin, policy_strict()));
	if (slot->id > TOKEN_NUMBER_MAX || !home_known)
		return CKR_DEVICE_ERROR;
	st = token_make(home, (uint32_t)slot->id, label, pin, policy_strict(), &slot->token);
	slot->present = slot->token != NULL;
	/* Another process was faster: its token is here now, with its own SO. */
	return st == HSM_E_EXISTS ? CKR_TOKEN_NOT_RECOGNIZED : rv_from(st);
}

CK_RV
C_InitToken(CK_SLOT_ID id, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label)
{
	struct secret room = SECRET_NONE;
	struct slot *slot;
	hsm_in meant;
	CK_RV rv;

	if ((pin == NULL && !pin_configured(CKU_SO)) || label == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	if ((slot = ck_slot_find(id)) == NULL) {
		rv = CKR_SLOT_ID_INVALID;
		goto out;
	}
	if ((rv = pin_meant(CKU_SO, pin, pin_len, &room, &meant)) != CKR_OK)
		goto out;
	pthread_mutex_lock(&slot->lock);
	if (slot->sessions != 0)
		rv = CKR_SESSION_EXISTS;
	else if (meant.len > HSM_PIN_MAX || meant.len < HSM_PIN_MIN)
		rv = slot->present ? CKR_PIN_INCORRECT : CKR_PIN_LEN_RANGE;
	else
		rv = slot_init(slot, meant, label);
	pthread_mutex_unlock(&slot->lock);
	if (rv == CKR_OK)
		rv = slots_scan(false);         /* the next free slot */
out:
	secret_wipe(&room);
	door_leave();
	return rv;
}

/* ---- events ----------------------------------------------------------------- */

static bool
event_take(CK_SLOT_ID *id)
{
	size_t n = atomic_load(&slots_len);
	bool event = false;

	for (size_t i = 0; i < n && !event; i++) {
		pthread_mutex_lock(&slots[i]->lock);
		if ((event = slots[i]->event)) {
			slots[i]->event = false;
			*id = slots[i]->id;
		}
		pthread_mutex_unlock(&slots[i]->lock);
	}
	return event;
}

/* Tokens come and go as files, so waiting is looking now and then; the life
 * lock is free in between, and C_Finalize ends the wait. */
CK_RV
C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
	const struct timespec pause = { 0, 100 * 1000 * 1000 };
	bool event = false, first = true;
	unsigned life = 0;
	CK_RV rv;

	if (slot == NULL || reserved != NULL)
		return CKR_ARGUMENTS_BAD;
	for (;; first = false) {
		if ((rv = door_enter()) != CKR_OK)
			return rv;
		if (first)
			life = door_life();
		/* Finalized, and initialised again, between two looks. */
		if (life != door_life())
			rv = CKR_CRYPTOKI_NOT_INITIALIZED;
		else if ((rv = slots_scan(false)) == CKR_OK)
			event = event_take(slot);
		door_leave();
		if (rv != CKR_OK || event)
			return rv;
		if ((flags & CKF_DONT_BLOCK) != 0)
			return CKR_NO_EVENT;
		nanosleep(&pause, NULL);
	}
}
