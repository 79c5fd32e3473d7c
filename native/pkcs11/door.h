/* door.h - what the files of the Cryptoki door share. Nothing outside
 * native/pkcs11 includes this, and pkcs11.h is included here only.
 *
 * The door translates and decides nothing: object handles are the core's, key
 * policy is the core's; what PKCS#11 asks beyond that (which calls may follow
 * which, how long an answer is) is kept here, in the session.
 *
 * Locks, in the order they are taken: the session's own (one call at a time
 * in a session), a slot's (its counts and lists), the token's. None is shared
 * by two sessions while a key works. C_Initialize and C_Finalize wait for who
 * is inside (life.c) and end sessions by their locks. */
#ifndef STRONGROOM_DOOR_H
#define STRONGROOM_DOOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#include <pkcs11.h>
#pragma GCC visibility pop

#include "../base/lock.h"
#include "../mech/mech.h"        /* the MECH_ words for uses; its functions are the core's own */
#include "../module/hsm.h"
#include "../token/token.h"

_Static_assert(sizeof(CK_ULONG) == 8, "numbers of attributes go through unchanged");

/* What a length beyond any buffer looks like: a negative number, cast. */
#define LEN_MAX ((CK_ULONG)PTRDIFF_MAX)

/* Of CK_TOKEN_INFO, ours: secret memory is weaker than memfd_secret. */
#define CKF_STRONGROOM_WEAKENED 0x80000000UL

struct slot;
struct session;

/* ---- life.c: initialised or not, and who is inside ------------------------ */

/* Every call that names no session begins with one of these and ends with
 * door_leave; a few of general.c need neither. CKR_CRYPTOKI_NOT_INITIALIZED. */
CK_RV door_enter(void);
void door_leave(void);
bool door_open(void);
/* Inside: which C_Initialize this is the life of. */
unsigned door_life(void);

/* ---- slot.c ----------------------------------------------------------------- */

struct slot {
	CK_SLOT_ID id;
	pthread_mutex_t lock;
	struct token *token;            /* NULL: not initialised, not yet attached, damaged */
	bool present;                   /* there is a token's file */
	bool event;                     /* for C_WaitForSlotEvent */
	_Atomic CK_ULONG sessions, rw_sessions;
	hsm_key *objects;               /* session objects of all its sessions */
	size_t objects_len, objects_cap;
};

CK_RV ck_slots_open(void);                 /* at C_Initialize */
void ck_slots_close(void);
void ck_slots_forget(void);                /* in a forked child */
/* Valid until C_Finalize. NULL: no such slot. */
struct slot *ck_slot_find(CK_SLOT_ID id);
/* The slot's token, attached if need be: CKR_TOKEN_NOT_INITIALIZED (a free
 * slot), CKR_TOKEN_NOT_RECOGNIZED (damaged), CKR_DEVICE_ERROR. */
CK_RV ck_slot_token(struct slot *slot, struct token **token);

/* ---- session.c -------------------------------------------------------------- */

/* What runs in a session, beside the core's own record of it. */
enum op { OP_ENCRYPT, OP_DECRYPT, OP_SIGN, OP_VERIFY, OP_DIGEST, OP_RECOVER_SIGN, OP_RECOVER_VERIFY,
	OP_MESSAGE_ENCRYPT, OP_MESSAGE_DECRYPT, OP_MESSAGE_SIGN, OP_MESSAGE_VERIFY, OP_VERIFY_SIGNATURE, OP_COUNT };

enum op_stage { STAGE_NONE, STAGE_BEGUN, STAGE_PARTS };

struct op_state {
	enum op_stage stage;
	hsm_mech mech;
	hsm_key key;
	struct held *held;              /* mechanism parameters kept for later, params.c */
	uint8_t *bytes;                 /* VERIFY_SIGNATURE: the signature; messages: what came so far */
	size_t bytes_len, bytes_cap;
};

struct session {
	_Alignas(64) struct lock lock;  /* neighbours share no line */
	CK_SESSION_HANDLE handle;       /* 0: free */
	struct slot *slot;
	struct token *token;
	CK_FLAGS flags;
	hsm_session core;
	hsm_session side;               /* messages in parts run beside, opened when needed */
	bool approved;                  /* indicator of the last operation */
	struct op_state ops[OP_COUNT];
	bool finding;
	struct token_search search;     /* token objects */
	hsm_key *found;                 /* session objects and built-in ones, found at once */
	size_t found_len, found_at;
	hsm_attr *wanted;               /* the template, copied */
	size_t wanted_len;
	uint8_t *wanted_bytes;
};

/* Enter with a session: its lock is held until ck_leave, which hands rv through. Its number is a generation above a
 * slot and is never given twice. */
CK_RV ck_enter(CK_SESSION_HANDLE handle, struct session **s);
CK_RV ck_leave(struct session *s, CK_RV rv);
CK_RV ck_sessions_open(void);
void ck_sessions_close(void);
void ck_sessions_forget(void);               /* in a forked child */
/* Ends all sessions of a slot. */
void ck_sessions_close_slot(struct slot *slot);
hsm_role ck_role(const struct session *s);
bool ck_writable(const struct session *s);
void ck_op_end(struct session *s, enum op op);     /* forgets the door's side */
void ck_find_end(struct session *s);

/* Session objects of a slot, so that every search in it sees them. Those that
 * ended with their session or at logout are dropped when met. */
CK_RV ck_objects_add(struct session *s, hsm_key key);
void ck_objects_drop(struct slot *slot, hsm_key key);
CK_RV ck_objects_list(struct slot *slot, hsm_key **keys, size_t *n);      /* a copy, heap */

/* ---- map.c: words of one side to words of the other ------------------------- */

CK_RV rv_from(hsm_status st);
/* The same where the handle meant is a key to work with, a wrapping or an
 * unwrapping key. */
CK_RV rv_key(hsm_status st);
CK_RV rv_wrapping(hsm_status st);
CK_RV rv_unwrapping(hsm_status st);

/* A template as attributes of the core. Values are views of the caller's
 * bytes, except nested templates, which lie in `room`. */
struct templ {
	hsm_attr *at;
	size_t n, cap;
	uint8_t *room;                  /* heap */
};
CK_RV templ_from(struct templ *a, const CK_ATTRIBUTE *templ, CK_ULONG n);
void templ_free(struct templ *a);
const hsm_attr *templ_find(const struct templ *a, CK_ATTRIBUTE_TYPE type);
CK_RV templ_add(struct templ *a, CK_ATTRIBUTE_TYPE type, const void *value, size_t len);
/* CKR_ATTRIBUTE_VALUE_INVALID when there and malformed. */
CK_RV templ_bool(const struct templ *a, CK_ATTRIBUTE_TYPE type, bool *value);
CK_RV templ_number(const struct templ *a, CK_ATTRIBUTE_TYPE type, CK_ULONG *value);

/* ---- params.c: mechanism parameters ------------------------------------------ */

/* Views of the caller's parameters; everything that a later call needs is
 * copied with held_keep. */
CK_RV ck_params(const CK_MECHANISM *mechanism, hsm_mech *mech, hsm_params *params);
/* An IV that may be made here, and a tag apart from the message: both are
 * written where the caller's parameters point. */
struct made {
	CK_BYTE *iv, *tag;
	CK_ULONG len, tag_len, fixed_bits;
	CK_GENERATOR_FUNCTION generator;
	hsm_out out;                    /* for params.iv_out; lives as long as the call */
};
CK_RV ck_params_wrap(const CK_MECHANISM *mechanism, hsm_mech *mech, hsm_params *params, struct made *made);
CK_RV ck_params_message(hsm_mech mech, void *ptr, CK_ULONG len, hsm_params *params, struct made *made);
/* Before the use: the IV, made or given. */
CK_RV made_iv(hsm_session core, struct made *made, bool encrypting, hsm_params *params);
struct held { hsm_params params; uint8_t bytes[]; };
CK_RV held_keep(const hsm_params *params, struct held **held);
/* A second reading for SP 800-108, whose data contain the length of what is
 * derived. *room: heap, what params then views. */
CK_RV ck_params_kbkdf(const CK_MECHANISM *mechanism, CK_ULONG bytes, hsm_params *params, uint8_t **room);

/* ---- spec.c: what kind of key is asked for ------------------------------------ */

CK_RV ck_spec_generate(hsm_mech mech, const struct templ *a, hsm_spec *spec);

/* ---- state.c: digests whose state was saved ------------------------------------ */

void ck_states_close(void);
void ck_states_forget(void);            /* in a forked child */

/* ---- pin.c: PINs that callers give, or leave to the module -------------------------- */

/* Is a file configured to read this user's PIN from (protected authentication path)? */
bool pin_configured(CK_USER_TYPE user);
/* The PIN that is meant: the caller's, or with NULL the configured one, read into
 * *room, which the caller wipes. CKR_ARGUMENTS_BAD: neither. */
CK_RV pin_meant(CK_USER_TYPE user, const CK_UTF8CHAR *pin, CK_ULONG len, struct secret *room, hsm_in *meant);

/* ---- object.c ------------------------------------------------------------------ */

/* Objects just made in the core: durable where they say CKA_TOKEN, else known
 * to the slot. On failure they are destroyed. */
CK_RV ck_objects_keep(struct session *s, const hsm_key *keys, size_t n);

/* ---- builtin.c: what the module says of itself as objects ------------------------ */

/* Shown only to who asks for their class. */
bool builtin_holds(CK_OBJECT_HANDLE handle);
size_t builtin_count(void);
CK_OBJECT_HANDLE builtin_at(size_t i);
hsm_status builtin_get(CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type, hsm_out *value);
bool builtin_matches(CK_OBJECT_HANDLE handle, const hsm_attr *attrs, size_t n);

/* ---- op.c: the shape that operations share ----------------------------------------- */

/* The core's word for an operation: a MECH_ bit. */
uint32_t op_use(enum op op);
/* What a caller brings for an answer; false when no memory is that large. */
bool out_from(hsm_out *out, CK_BYTE *ptr, const CK_ULONG *len);
bool in_from(hsm_in *in, const CK_BYTE *ptr, CK_ULONG len);
/* Begin, with ck_enter; mechanism NULL ends what is active. */
CK_RV op_init(CK_SESSION_HANDLE handle, enum op op, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
CK_RV op_once(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len);
CK_RV op_update(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len);
CK_RV op_final(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *out, CK_ULONG *out_len);
/* Begin one whose key and parameters wait here: that the key may is looked at. */
CK_RV op_hold(struct session *s, enum op op, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, bool message);
/* Give up: the core's side too. */
void ck_op_drop(struct session *s, enum op op);

#endif
