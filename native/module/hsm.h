/* hsm.h - the whole face of the core. A door includes this and nothing else.
 *
 * A key is a number. What it names lies in the arena and has no getter: bytes
 * leave the core as ciphertext, signatures, MACs, digests, public keys, sealed
 * objects and random; as payload only where the call's contract says so (data
 * keys, decrypted plaintext, agreed secrets).
 *
 * A session is a capability. It says who acts (role, account) and cannot be
 * made up: it comes from a verified SigV4 signature, from a PIN, or is the
 * service's own, which may load and seal keys but never use them for a
 * tenant. Every call names the session it acts for.
 *
 * Numbers given out (sessions, keys, partitions) are a generation above a
 * slot and fit 53 bits, so that JavaScript carries them exactly; stale and
 * made-up ones are refused. Values, byte ranges and caller buffers only: no
 * callback, no core pointer, so that the same calls can cross a process
 * boundary. Inputs are read once.
 *
 * For all calls: on every failure but HSM_E_BUFFER, out->len is 0 and nothing
 * was written; an hsm_out with ptr NULL asks for the size and spends nothing.
 * Any call may answer HSM_E_STATE, HSM_E_SELF_TEST (the module is not
 * operational), HSM_E_SESSION, HSM_E_MEMORY. All calls are thread-safe. */
#ifndef STRONGROOM_HSM_H
#define STRONGROOM_HSM_H

#include "../base/status.h"
#include "../mech/params.h"

typedef uint64_t hsm_session;           /* 0: none */
typedef uint64_t hsm_key;               /* generation | slot; 0: none */
typedef uint64_t hsm_part;              /* a partition: a tenant's account, or a token */

/* ---- the module ------------------------------------------------------- */

typedef enum { HSM_MODE_PRODUCTION, HSM_MODE_DEV, HSM_MODE_LAB } hsm_mode;

typedef struct {
	size_t arena_size;              /* bytes; 0: by RLIMIT_MEMLOCK */
	bool approved_only;             /* refuse what the indicator calls not approved */
} hsm_config;

typedef struct {
	const char *version;            /* of the module */
	const char *state, *why;        /* state_name, last error */
	const char *arena_kind;         /* "memfd_secret", "locked", "plain" */
	const char *arena_reason;
	bool weakened;                  /* secret memory is not memfd_secret: strict tokens do not run */
	uint64_t arena_size, arena_used, arena_high, lock_limit;
	uint64_t sessions, objects, loaded;  /* loaded: objects whose key is in the arena now */
	const char *library;            /* "AWS-LC 5.12.0" */
	hsm_mode mode;
	bool unsealed, approved_only;
	const char *unseal;             /* "keyfile", "passphrase", "shares", "held", "" */
} hsm_info;

/* Power on: arena, integrity, self-tests. Idempotent, counted; the last
 * hsm_close wipes everything. HSM_E_SELF_TEST leaves the error state. */
HSM_MUST_USE hsm_status hsm_open(const hsm_config *config);
void hsm_close(void);
HSM_MUST_USE hsm_status hsm_describe(hsm_info *info);       /* answers in every state */
/* Run one self-test by name, or all (name NULL). failed: name of the first
 * that failed, or NULL. A failure latches the error state. */
HSM_MUST_USE hsm_status hsm_self_test(const char *name, const char **failed);
const char *hsm_self_test_at(size_t i);                     /* names; NULL past the end */
/* Everything secret is overwritten; only hsm_close leaves this state. */
HSM_MUST_USE hsm_status hsm_zeroise(const char *why);

typedef struct { hsm_mech id; const char *name; uint32_t key_type, min_bits, max_bits, flags; } hsm_mech_info;
HSM_MUST_USE hsm_status hsm_mech_at(size_t i, hsm_mech_info *info);   /* HSM_E_MECH past the end */
HSM_MUST_USE hsm_status hsm_mech_describe(hsm_mech id, hsm_mech_info *info);

/* ---- root key and partitions ------------------------------------------- */

/* How the root key is held at rest: in unseal slots, each of which opens it
 * alone. The core reads and writes the files.
 * KEYFILE: a file the core makes. PASSPHRASE: in a file it reads. SHARES: any
 * `threshold` of `count` texts that people keep. HELD: what somebody else
 * answers (another token, another KMS) together with a file the core makes;
 * neither is of use alone. */
typedef enum { HSM_UNSEAL_KEYFILE, HSM_UNSEAL_PASSPHRASE, HSM_UNSEAL_SHARES, HSM_UNSEAL_HELD, HSM_UNSEAL_UNKNOWN } hsm_unseal;

#define HSM_SHARES_MAX 32u
#define HSM_SHARE_TEXT 99u              /* characters of a share: "srs1-" and 19 groups of 4 */
#define HSM_NOTE_MAX 2048u
#define HSM_SLOTS_MAX 16u

typedef struct {
	hsm_unseal how;
	const char *path;               /* KEYFILE, HELD: made, 0600, refused if there. PASSPHRASE: read */
	uint32_t threshold, count;      /* SHARES */
	hsm_in note;                    /* HELD: public, in the header: whom to ask, and what */
	hsm_in answer;                  /* HELD: 16..64 secret bytes, the same each time */
} hsm_slot;

typedef struct { hsm_unseal how; uint32_t threshold, count; } hsm_slot_info;

/* Make a root key with one slot. header: versioned, authenticated, public;
 * store it. The mode is sealed into it for ever. shares: for SHARES the texts,
 * each ended by a line feed, count * (HSM_SHARE_TEXT + 1) bytes; they leave
 * this once. hsm_root_create: a slot by its path alone. */
HSM_MUST_USE hsm_status hsm_root_make(hsm_mode mode, const hsm_slot *slot, hsm_out *shares, hsm_out *header);
HSM_MUST_USE hsm_status hsm_root_create(hsm_mode mode, hsm_unseal how, const char *path, hsm_out *header);
/* By any slot of that kind (SHARES: hsm_share_put). HSM_E_ROOT: another
 * store's root, or no such slot; HSM_E_PIN: wrong passphrase or answer; HSM_E_IO. */
HSM_MUST_USE hsm_status hsm_root_open_slot(hsm_in header, const hsm_slot *slot);
HSM_MUST_USE hsm_status hsm_root_open(hsm_in header, hsm_unseal how, const char *path);
void hsm_root_close(void);              /* seal: partitions and keys are wiped */
/* What the header says of slot i; unauthenticated before the root is open.
 * note: empty but for HELD. HSM_E_ARGS: past the end. */
HSM_MUST_USE hsm_status hsm_root_slot_at(hsm_in header, uint32_t i, hsm_slot_info *info, hsm_out *note);
/* The header of the open root with a slot more, or without one: store it in
 * the old one's place. The last slot stays. HSM_E_ROOT, HSM_E_INTEGRITY: not
 * the open root's header. */
HSM_MUST_USE hsm_status hsm_root_slot_add(hsm_in header, const hsm_slot *slot, hsm_out *shares, hsm_out *fresh);
HSM_MUST_USE hsm_status hsm_root_slot_remove(hsm_in header, uint32_t i, hsm_out *fresh);
/* Shares come one at a time, from whoever holds them, and wait in the arena.
 * purpose "unseal": enough of them open the root. Any other (1..64 bytes): the
 * root is open, and enough of them, of its present header, approve this very
 * purpose; shares for another begin anew. *have is *need when it is done.
 * HSM_E_FORMAT: no share, or mistyped; HSM_E_ROOT: of another set;
 * HSM_E_EXISTS: came already; HSM_E_PIN: together they open nothing, and are
 * forgotten. */
HSM_MUST_USE hsm_status hsm_share_put(hsm_in header, hsm_in purpose, hsm_in share, uint32_t *have, uint32_t *need);
void hsm_share_drop(void);

/* An account's partition: a fresh account key, sealed under the root. Losing
 * `sealed` shreds every key in it. account: 1..64 bytes. */
HSM_MUST_USE hsm_status hsm_partition_create(hsm_in account, hsm_out *sealed, hsm_part *part);
HSM_MUST_USE hsm_status hsm_partition_open(hsm_in account, hsm_in sealed, hsm_part *part);
HSM_MUST_USE hsm_status hsm_partition_close(hsm_part part);
/* A partition of this process alone: never sealed, gone at close. */
HSM_MUST_USE hsm_status hsm_partition_ephemeral(hsm_in label, hsm_part *part);
/* Strict from now on, until it is closed: no keys in the clear come in
 * (hsm_create), no plaintext payload leaves, a caller's decryption included
 * (HSM_E_POLICY). */
HSM_MUST_USE hsm_status hsm_partition_restrict(hsm_part part);

/* ---- sessions ----------------------------------------------------------- */

typedef enum {
	HSM_ROLE_PUBLIC,                /* not logged in */
	HSM_ROLE_USER,                  /* a token's or local partition's user */
	HSM_ROLE_OFFICER,               /* SO */
	HSM_ROLE_CALLER,                /* a tenant's principal, by SigV4 */
	HSM_ROLE_CONTEXT,               /* hsm_login only: the user once more, for one use of a key that always asks */
	HSM_ROLE_SERVICE                /* the service's own work: generate for an account, seal, load, destroy, records; no use of keys */
} hsm_role;

#define HSM_SESSION_RW 1u
#define HSM_SESSION_KEEPER 2u           /* of who keeps a token's file: also for a strict token that does not run */

HSM_MUST_USE hsm_status hsm_session_service(hsm_session *session);
/* Local programs. Role PUBLIC until hsm_login; on an ephemeral partition
 * without a PIN the role is USER at once. HSM_E_WEAKENED: a strict token's,
 * and secret memory is not what it should be (hsm_info). */
HSM_MUST_USE hsm_status hsm_session_open(hsm_part part, uint32_t flags, hsm_session *session);
HSM_MUST_USE hsm_status hsm_session_close(hsm_session session);
HSM_MUST_USE hsm_status hsm_session_role(hsm_session session, hsm_role *role);
/* Roles are a partition's, as in PKCS#11: all its sessions change. */
HSM_MUST_USE hsm_status hsm_login(hsm_session session, hsm_role role, hsm_in pin);
HSM_MUST_USE hsm_status hsm_logout(hsm_session session);
/* Is this the PIN of the user, who is logged in already? Counted as a try of
 * login is; nothing changes. HSM_E_NOT_LOGGED_IN, HSM_E_PIN, HSM_E_PIN_LOCKED. */
HSM_MUST_USE hsm_status hsm_pin_check(hsm_session session, hsm_in pin);
HSM_MUST_USE hsm_status hsm_pin_set(hsm_session session, hsm_role role, hsm_in pin);  /* ephemeral partitions */

/* ---- tokens: partitions opened by PIN ------------------------------------ */

/* A token's partition has two keys. Objects with CKA_PRIVATE FALSE are sealed
 * under one that follows from the device secret and serve every session; all
 * others under the token key, which is random, wrapped once for the user and
 * once for the SO, and in the arena only while the user is logged in. The
 * token key of an SO session re-wraps (a forgotten user PIN) and opens nothing.
 *
 * device: a folder the core keeps for itself (made, 0700), apart from the
 * token's own file: the device secret, and for each token the count of failed
 * tries, on disk before a PIN is checked. So a copied token cannot be guessed
 * at, and restoring a token's file wins no try back.
 * header: public, authenticated; stored with the token's objects by whoever
 * keeps them, replaced as one when a call answers a new one.
 * PINs: 4..255 bytes, by PBKDF2-HMAC-SHA-512, about 0.12 s. Making and opening
 * a strict token's sessions: HSM_E_WEAKENED where the arena is not memfd_secret. */
#define HSM_TOKEN_HEADER_MAX 512u
#define HSM_PIN_MIN 4u
#define HSM_PIN_MAX 255u
#define HSM_PIN_TRIES 10u

typedef struct {
	uint8_t id[16];                 /* of the token, random; names its partition in seals */
	bool strict, user_pin;          /* user_pin: it was set */
	uint32_t user_tries, so_tries;  /* left; 0: locked */
	uint32_t iterations;
} hsm_token_info;

HSM_MUST_USE hsm_status hsm_token_create(const char *device, hsm_in so_pin, bool strict, hsm_out *header, hsm_part *part);
/* HSM_E_INTEGRITY: not this device's, or altered. */
HSM_MUST_USE hsm_status hsm_token_open(const char *device, hsm_in header, hsm_part *part);
/* The header as another process rewrote it (a PIN changed there). A key that
 * is in use stays in use. HSM_E_INTEGRITY; HSM_E_PARTITION: another token's. */
HSM_MUST_USE hsm_status hsm_token_refresh(hsm_part part, hsm_in header);
HSM_MUST_USE hsm_status hsm_token_describe(hsm_part part, hsm_token_info *info);
/* Anew: SO PIN checked, fresh token key, no user PIN, same id. Every private
 * object of before is shredded with the old key. */
HSM_MUST_USE hsm_status hsm_token_reset(hsm_part part, hsm_in so_pin, bool strict, hsm_out *header);
/* Set a PIN. By its owner: `old` is checked (and counted). By a session of the
 * SO for role USER: `old` is empty. The old header's PIN holds until the new
 * header is stored. */
HSM_MUST_USE hsm_status hsm_token_pin(hsm_session session, hsm_role role, hsm_in old, hsm_in pin, hsm_out *header);
/* Another policy. It is bound into both wrapped keys, so both PINs are needed:
 * nobody alone loosens what the other relies on. user_pin is empty where none
 * is set. */
HSM_MUST_USE hsm_status hsm_token_policy(hsm_part part, hsm_in so_pin, hsm_in user_pin, bool strict, hsm_out *header);
/* A token's file alone is bytes; a ticket is what it needs beside itself (its
 * device key, its failed tries), sealed and bound to the file's SHA-256. With
 * an empty passphrase it opens where this device's secret is. With one (12 to
 * 255 bytes) it opens anywhere: only a session of the SO gets that. */
#define HSM_TOKEN_TICKET_MAX 256u
#define HSM_PASSPHRASE_MIN 12u
HSM_MUST_USE hsm_status hsm_token_export(hsm_session session, const char *device, hsm_in passphrase, hsm_in file_sha256, hsm_out *ticket);
/* Take a token up: afterwards hsm_token_open opens its header here. Tries that
 * are counted here already go on. HSM_E_PIN: wrong passphrase, or not this
 * file's ticket; HSM_E_INTEGRITY: not this device's, or not this file's;
 * HSM_E_EXISTS: a token of this id has another device key here. */
HSM_MUST_USE hsm_status hsm_token_import(const char *device, hsm_in passphrase, hsm_in ticket, hsm_in file_sha256);
/* hsm_login and hsm_logout serve tokens too: HSM_E_PIN, HSM_E_PIN_LOCKED,
 * HSM_E_PIN_UNSET, HSM_E_LOGGED_IN. At logout the private objects of the partition are
 * closed: their handles end. HSM_ROLE_CONTEXT checks the user's PIN once more
 * and arms the operation that waits for it in this session. */
/* How an index finds objects without reading them: a keyed tag of an
 * attribute's value, and a MAC for the index's own rows. */
#define HSM_TOKEN_TAG 16
HSM_MUST_USE hsm_status hsm_token_tag(hsm_part part, bool priv, uint32_t attr, hsm_in value, uint8_t tag[HSM_TOKEN_TAG]);
HSM_MUST_USE hsm_status hsm_token_mac(hsm_part part, hsm_in bytes, uint8_t mac[32]);

/* ---- access keys: SigV4 is verified here, on a handle -------------------- */

typedef enum { HSM_SECRET_MADE, HSM_SECRET_ENV, HSM_SECRET_FILE, HSM_SECRET_MADE_LONG } hsm_secret_source;

/* Make an access key bound to (partition's account, id, principal, expiry in
 * ms since the epoch or 0). Its secret is 40 characters made here (LONG: 48,
 * as external key stores ask for), or read by the core from an environment
 * variable or file (`from`). The secret leaves
 * once: into `shown` (payload; NULL: not), or by hsm_credential_write before
 * the next call closes the key. sealed: store it. */
HSM_MUST_USE hsm_status hsm_credential_create(hsm_session service, hsm_part part, hsm_in id, hsm_in principal,
	uint64_t expires_ms, hsm_secret_source source, const char *from,
	hsm_out *shown, hsm_out *sealed, hsm_key *key);
/* Write an AWS shared credentials file (0600, atomically) for a key just
 * made. Refused (HSM_E_POLICY) for one that was loaded from its sealed form. */
HSM_MUST_USE hsm_status hsm_credential_write(hsm_session service, hsm_key key, const char *path, const char *profile);
HSM_MUST_USE hsm_status hsm_credential_open(hsm_session service, hsm_part part, hsm_in id, hsm_in sealed, hsm_key *key);
/* Credentials have their own table: no other call takes their handles, so
 * nothing can be done with an access key but to verify SigV4. */
HSM_MUST_USE hsm_status hsm_credential_close(hsm_session service, hsm_key key);

typedef struct {
	hsm_in date;                    /* YYYYMMDD of the scope */
	hsm_in region, service;
	hsm_in timestamp;               /* YYYYMMDDTHHMMSSZ */
	hsm_in canonical;               /* canonical request up to and including the newline before the payload hash */
	hsm_in payload_hash;            /* what the request claims (hex), or empty; "UNSIGNED-PAYLOAD" only where allowed */
	hsm_in body;
	hsm_in signature;               /* 64 hex */
	uint64_t now_ms;                /* for the key's expiry */
	bool allow_unsigned_payload;
} hsm_sigv4;

/* A session for the key's principal, role CALLER, when the signature fits.
 * HSM_E_SIGNATURE; HSM_E_DATA: payload_hash is not the body's; HSM_E_EXPIRED.
 * Signing keys are cached per (key, date, region, service). Close the session
 * when the request is answered. */
HSM_MUST_USE hsm_status hsm_sigv4_verify(hsm_key credential, const hsm_sigv4 *request, hsm_session *session);

/* ---- secrets of others ----------------------------------------------------- */

/* What a service was given to work with elsewhere, sealed, bound to (the
 * partition's account, id) and to one use: HSM_KEEP_SIGNER signs requests to
 * a service that is not ours and never leaves; HSM_KEEP_PASSWORD logs in at
 * somebody else's module and leaves as payload for that. Sessions of role
 * SERVICE only. secret: 1..128 bytes. */
typedef enum { HSM_KEEP_SIGNER, HSM_KEEP_PASSWORD } hsm_keep;

HSM_MUST_USE hsm_status hsm_keep_seal(hsm_session service, hsm_part part, hsm_keep use, hsm_in id, hsm_in secret, hsm_out *sealed);
/* A password. HSM_E_INTEGRITY: altered, another's, or kept for another use. */
HSM_MUST_USE hsm_status hsm_keep_open(hsm_session service, hsm_part part, hsm_in id, hsm_in sealed, hsm_out *plain);
/* SigV4 by a signer: 64 hex digits. request->signature and now_ms are not
 * read; an empty payload_hash stands for the body's. Statuses as above, and
 * HSM_E_ARGS, HSM_E_DATA for a request that cannot be signed. */
HSM_MUST_USE hsm_status hsm_keep_sign(hsm_session service, hsm_part part, hsm_in id, hsm_in sealed, const hsm_sigv4 *request, hsm_out *signature);

/* ---- objects ------------------------------------------------------------ */

/* Usage, mechanisms and flags of an object are CKA_ attributes. Ours beside: */
#define HSM_ATTR_SHARED_WITH   0x80000001u  /* accounts (12 digits each, joined) whose callers may use the key;
                                             * "************" stands for every account (a policy's Principal "*") */
#define HSM_ATTR_REVEAL        0x80000002u  /* flag: agreement and decapsulation may answer payload (KMS contract) */
#define HSM_ATTR_APPROVED      0x80000003u  /* flag, read-only: last indicator */

/* What a sealed object is bound to besides its partition: opening under
 * another name is HSM_E_INTEGRITY. Each at most 64 bytes. */
typedef struct { hsm_in object_id, material_id; } hsm_binding;

typedef struct {
	uint32_t klass;                 /* hsm_class */
	hsm_spec spec;
	uint32_t use;                   /* MECH_* bits the policy grants */
	bool sensitive, extractable, always_sensitive, never_extractable, local, loaded;
	hsm_part part;
} hsm_key_info;

/* Fresh keys. The session's role decides the partition: its own; for SERVICE
 * `part` names it (else 0). The pair form gives the private key; pub may be
 * NULL. Pairwise consistency is tested before the handle is given out. */
HSM_MUST_USE hsm_status hsm_generate(hsm_session session, hsm_part part, hsm_spec spec,
	const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_generate_pair(hsm_session session, hsm_part part, hsm_spec spec, const hsm_params *params,
	const hsm_attr *pub_attrs, size_t pub_n, const hsm_attr *attrs, size_t n, hsm_key *pub, hsm_key *key);
/* An object from its attributes, CKA_VALUE and components in the clear (not
 * approved; refused where the partition is strict; a secret or private key by
 * the service only under a root of mode DEV, HSM_E_MODE, by a caller never,
 * HSM_E_ROLE). SPKI and PKCS#8 are taken in CKA_VALUE with CKA_KEY_TYPE where
 * components are not given. */
HSM_MUST_USE hsm_status hsm_create(hsm_session session, hsm_part part, const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_copy(hsm_session session, hsm_key from, const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_destroy(hsm_session session, hsm_key key);
HSM_MUST_USE hsm_status hsm_attr_get(hsm_session session, hsm_key key, uint32_t type, hsm_out *value);
HSM_MUST_USE hsm_status hsm_attr_set(hsm_session session, hsm_key key, const hsm_attr *attrs, size_t n);
HSM_MUST_USE hsm_status hsm_key_describe(hsm_session session, hsm_key key, hsm_key_info *info);
/* Objects of the session's partition that carry every given attribute; from
 * `cursor` (0: start). count in: room; out: found. Secret values never match. */
HSM_MUST_USE hsm_status hsm_find(hsm_session session, const hsm_attr *attrs, size_t n, uint64_t *cursor, hsm_key *keys, size_t *count);
HSM_MUST_USE hsm_status hsm_public_key(hsm_session session, hsm_key key, hsm_out *spki);

/* At rest: sealed under the partition's key, attributes inside. An unsealed
 * object is loaded when first used and may be evicted from the arena; its
 * handle stays good. */
HSM_MUST_USE hsm_status hsm_object_seal(hsm_session session, hsm_key key, hsm_binding binding, hsm_out *sealed);
HSM_MUST_USE hsm_status hsm_object_open(hsm_session session, hsm_part part, hsm_binding binding, hsm_in sealed, hsm_key *key);
/* In a token's partition the first byte of `sealed` says, authenticated, which
 * of its two keys was used (1: CKA_PRIVATE FALSE). An object with CKA_TOKEN
 * that was sealed once stays open whatever sessions end. */
/* Forget an opened object; its sealed form is the caller's and stays good. */
HSM_MUST_USE hsm_status hsm_object_close(hsm_session session, hsm_key key);

/* ---- using keys ---------------------------------------------------------- */

/* One shot. For encryption with an AEAD: iv (if made inside and no iv_out) |
 * ciphertext | tag. *approved, where given, is the service indicator. */
HSM_MUST_USE hsm_status hsm_encrypt(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in plain, hsm_out *out);
HSM_MUST_USE hsm_status hsm_decrypt(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in in, hsm_out *plain);
HSM_MUST_USE hsm_status hsm_sign(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in message, hsm_out *sig);
HSM_MUST_USE hsm_status hsm_verify(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in message, hsm_in sig);
HSM_MUST_USE hsm_status hsm_recover(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in sig, hsm_out *message);
HSM_MUST_USE hsm_status hsm_digest(hsm_session session, hsm_mech mech, const hsm_params *params, hsm_in in, hsm_out *out);
HSM_MUST_USE hsm_status hsm_derive(hsm_session session, hsm_key base, hsm_mech mech, const hsm_params *params, const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_wrap(hsm_session session, hsm_key kek, hsm_mech mech, const hsm_params *params, hsm_key key, hsm_out *wrapped);
HSM_MUST_USE hsm_status hsm_unwrap(hsm_session session, hsm_key kek, hsm_mech mech, const hsm_params *params, hsm_in wrapped, const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_encapsulate(hsm_session session, hsm_key pub, hsm_mech mech, const hsm_params *params, hsm_out *ciphertext, const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_decapsulate(hsm_session session, hsm_key priv, hsm_mech mech, const hsm_params *params, hsm_in ciphertext, const hsm_attr *attrs, size_t n, hsm_key *key);
HSM_MUST_USE hsm_status hsm_random(hsm_session session, hsm_out *out);      /* fills out->cap bytes */
/* Additional input for the generator, beside its own seeds: it adds, or does nothing. */
HSM_MUST_USE hsm_status hsm_random_add(hsm_session session, hsm_in in);
/* Service indicator of this thread's last operation. A door that ran one on
 * another thread carries its indicator over with the result. */
bool hsm_approved(void);
void hsm_approved_carry(bool approved);

/* Payload by contract, for keys with HSM_ATTR_REVEAL: the agreed secret
 * (raw x-coordinate), the encapsulated or decapsulated secret. */
HSM_MUST_USE hsm_status hsm_agree(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_out *secret);
HSM_MUST_USE hsm_status hsm_kem_seal(hsm_session session, hsm_key key, hsm_mech mech, hsm_out *ciphertext, hsm_out *secret);
HSM_MUST_USE hsm_status hsm_kem_open(hsm_session session, hsm_key key, hsm_mech mech, hsm_in ciphertext, hsm_out *secret);

/* Many parts. One operation of each use (MECH_ENCRYPT, DECRYPT, SIGN, VERIFY,
 * DIGEST) a session; its state lies in the session. begin takes the key on
 * loan until final, failure or cancel. once: begin's key for one message. */
HSM_MUST_USE hsm_status hsm_begin(hsm_session session, uint32_t use, hsm_key key, hsm_mech mech, const hsm_params *params);
HSM_MUST_USE hsm_status hsm_once(hsm_session session, uint32_t use, hsm_in in, hsm_in sig, hsm_out *out);
HSM_MUST_USE hsm_status hsm_update(hsm_session session, uint32_t use, hsm_in in, hsm_out *out);
HSM_MUST_USE hsm_status hsm_update_key(hsm_session session, hsm_key key);   /* C_DigestKey */
HSM_MUST_USE hsm_status hsm_final(hsm_session session, uint32_t use, hsm_in sig, hsm_out *out);
HSM_MUST_USE hsm_status hsm_cancel(hsm_session session, uint32_t use);
/* Operation state of digests: what `from` has digested so far goes on in `to`,
 * a session of the same partition, in place of a digest under way there; it
 * goes on in `from` too. HSM_E_OP_INACTIVE; HSM_E_UNSUPPORTED: not this
 * mechanism's. */
HSM_MUST_USE hsm_status hsm_digest_copy(hsm_session from, hsm_session to);

/* Batch: one crossing, n messages under one key. Rows are packed: lens[i]
 * bytes of `in` after another; out_lens[i] tells each result, packed in out.
 * The first failure stops and is answered; *done says how many are whole. */
HSM_MUST_USE hsm_status hsm_batch(hsm_session session, uint32_t use, hsm_key key, hsm_mech mech, const hsm_params *params,
	hsm_in in, const uint32_t *lens, size_t n, hsm_out *out, uint32_t *out_lens, size_t *done);

/* ---- KMS: envelopes and data keys, one core call each --------------------- */

/* pairs: the encryption context, u32 length | UTF-8 bytes for name, value,
 * name, value ... in any order (big-endian lengths). The core sorts bytewise by name, refuses
 * repeated names (HSM_E_DATA) and authenticates the canonical form.
 * Format: docs/formats/envelope.md. Keys are HSM_KEY_KDK; every message has
 * its own derived key and a key commitment. HSM_E_CIPHERTEXT for anything
 * that does not open, whatever the reason. */
HSM_MUST_USE hsm_status hsm_envelope_seal(hsm_session session, hsm_key key, hsm_in pairs, hsm_in plain, hsm_out *blob);
HSM_MUST_USE hsm_status hsm_envelope_open(hsm_session session, hsm_key key, hsm_in pairs, hsm_in blob, hsm_out *plain);
/* ReEncrypt: no plaintext leaves. */
HSM_MUST_USE hsm_status hsm_envelope_move(hsm_session session, hsm_key from, hsm_in from_pairs, hsm_in blob, hsm_key to, hsm_in to_pairs, hsm_out *moved);
/* Whom a blob names, unauthenticated: HSM_E_FORMAT when it is not ours.
 * account 12 bytes; object_id and material_id as given to hsm_object_seal. */
typedef struct { uint8_t account[12]; uint8_t object_id[64]; size_t object_id_len; uint8_t material_id[64]; size_t material_id_len; } hsm_envelope_name;
HSM_MUST_USE hsm_status hsm_envelope_peek(hsm_in blob, hsm_envelope_name *name);
/* plain NULL: without plaintext. */
HSM_MUST_USE hsm_status hsm_data_key(hsm_session session, hsm_key key, hsm_in pairs, size_t len, hsm_out *plain, hsm_out *blob);
HSM_MUST_USE hsm_status hsm_data_key_pair(hsm_session session, hsm_key key, hsm_in pairs, hsm_spec spec, hsm_out *spki, hsm_out *plain, hsm_out *blob);

/* ---- KMS: plaintext for an attested recipient only -------------------------- */

/* What would leave as plaintext leaves as CMS EnvelopedData instead (DER, RFC
 * 5652; RSAES-OAEP with SHA-256, AES-256-CBC) for `recipient`, the RSA public
 * key (SPKI) of an attestation document that the caller has checked. Served
 * by strict partitions too. Statuses as of the calls without a recipient, and
 * HSM_E_KEY_VALUE, HSM_E_KEY_TYPE, HSM_E_KEY_SIZE for the recipient's key. */
HSM_MUST_USE hsm_status hsm_recipient_open(hsm_session session, hsm_key key, hsm_in pairs, hsm_in blob, hsm_in recipient, hsm_out *cms);
HSM_MUST_USE hsm_status hsm_recipient_decrypt(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in in, hsm_in recipient, hsm_out *cms);
HSM_MUST_USE hsm_status hsm_recipient_data_key(hsm_session session, hsm_key key, hsm_in pairs, size_t len, hsm_in recipient, hsm_out *cms, hsm_out *blob);
HSM_MUST_USE hsm_status hsm_recipient_data_key_pair(hsm_session session, hsm_key key, hsm_in pairs, hsm_spec spec, hsm_in recipient, hsm_out *spki, hsm_out *cms, hsm_out *blob);
HSM_MUST_USE hsm_status hsm_recipient_random(hsm_session session, size_t len, hsm_in recipient, hsm_out *cms);
HSM_MUST_USE hsm_status hsm_recipient_agree(hsm_session session, hsm_key key, hsm_mech mech, const hsm_params *params, hsm_in recipient, hsm_out *cms);

/* ---- KMS: key material from outside ------------------------------------------- */

typedef enum { HSM_IMPORT_OAEP_SHA1, HSM_IMPORT_OAEP_SHA256, HSM_IMPORT_AES_KEY_WRAP_SHA1, HSM_IMPORT_AES_KEY_WRAP_SHA256 } hsm_import_wrap;
#define HSM_IMPORT_FINGERPRINT 32

/* A wrapping key pair for one key of a partition (RSA, 2048, 3072 or 4096
 * bits; slow). Its private half leaves only inside `token`, sealed, bound to
 * the partition's account, object_id, the way of wrapping and expires_ms. */
HSM_MUST_USE hsm_status hsm_import_begin(hsm_session service, hsm_part part, hsm_in object_id, hsm_import_wrap wrap, uint32_t bits,
	uint64_t expires_ms, hsm_out *spki, hsm_out *token);
/* Unwrap and take in (slow). Symmetric material is raw and exactly as long as
 * spec says, private keys are PKCS#8. fingerprint: a keyed MAC over the
 * object id and the key itself, the same each time the same key comes in for
 * the same object_id, and telling nothing else: to refuse other material, and
 * to name this.
 * HSM_E_FORMAT, HSM_E_INTEGRITY: no token of this key; HSM_E_EXPIRED: its time
 * is over; HSM_E_CIPHERTEXT, HSM_E_CIPHERTEXT_LEN: does not unwrap;
 * HSM_E_KEY_SIZE, HSM_E_KEY_VALUE, HSM_E_CURVE: no key of this spec. */
HSM_MUST_USE hsm_status hsm_import_finish(hsm_session service, hsm_part part, hsm_in object_id, hsm_in token, hsm_in wrapped, uint64_t now_ms,
	hsm_spec spec, const hsm_attr *attrs, size_t n, uint8_t fingerprint[HSM_IMPORT_FINGERPRINT], hsm_key *key);

/* ---- records: whoever edits the store can withhold, not forge ------------- */

#define HSM_RECORD_MAC 32
/* MAC under a key derived from the root over (table, key, version, body),
 * each length-prefixed. */
HSM_MUST_USE hsm_status hsm_record_mac(hsm_in table, hsm_in key, uint64_t version, hsm_in body, uint8_t mac[HSM_RECORD_MAC]);
HSM_MUST_USE hsm_status hsm_record_check(hsm_in table, hsm_in key, uint64_t version, hsm_in body, hsm_in mac);  /* HSM_E_INTEGRITY */

/* ---- payload: buffers only the core writes and wipes ---------------------- */

#define HSM_PAYLOAD_MIN 4096u
void *hsm_payload_alloc(size_t len);            /* page-aligned, DONTDUMP; NULL: no memory */
void hsm_payload_free(void *ptr);               /* wipes */
void hsm_payload_wipe(void *ptr, size_t len);

/* Cut the values of the named members out of a JSON object's bytes. names:
 * u16 length | path for each ("Plaintext", "Recipient.AttestationDocument").
 * A named member whose value is a string is taken as base64 (JSON escapes
 * inside it understood, decoded in constant time) into `blobs`, and replaced in `json` by its index in
 * `spans`; all else is copied. Depth at most 32. A name with "=" before its
 * path is taken as it stands instead of as base64: its text in UTF-8, escapes
 * read (secrets that clients write as text).
 * HSM_E_FORMAT: not one JSON object in valid UTF-8, or a member name twice in
 * one object, or `__proto__`; HSM_E_DATA: bad base64, *where is the path. */
typedef struct { uint32_t offset, len; } hsm_span;
HSM_MUST_USE hsm_status hsm_json_cut(hsm_in body, hsm_in names, hsm_out *json, hsm_out *blobs,
	hsm_span *spans, size_t *span_count, char where[64]);
/* base64 in constant time. */
HSM_MUST_USE hsm_status hsm_base64(hsm_in bytes, hsm_out *text);
HSM_MUST_USE hsm_status hsm_sha256(hsm_in bytes, uint8_t digest[32]);       /* public data */

#endif
