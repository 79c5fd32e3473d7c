/* mech.h - what a mechanism is: one constant row, one file a family.
 *
 * Rows carry function slots; an empty slot refuses. A new mechanism adds a row
 * to its family's table and nothing anywhere else: the registry drives
 * dispatch, C_GetMechanismList, the support tables in docs and the bench.
 * Key types are rows too (`struct kind`): how material of that type is made,
 * read, published and tested.
 *
 * Everything here runs on an arena stack with arena memory held by the
 * caller (module/gate). Nothing here checks who may: that is module/policy. */
#ifndef STRONGROOM_MECH_H
#define STRONGROOM_MECH_H

#include "../base/bytes.h"
#include "../base/secret.h"
#include "params.h"

struct key;
struct stream;

/* What part of a key pair a key is. */
enum key_part { PART_SECRET, PART_PRIVATE, PART_PUBLIC };

/* A key type. Material (`struct secret`) has one canonical form a type:
 * secret keys raw; private keys PKCS#8 DER (RFC 5958; ML-DSA and ML-KEM in
 * the seed form); public keys SubjectPublicKeyInfo DER. */
struct kind {
	uint32_t type;                  /* hsm_key_type */
	const char *name;
	/* Measured by test/native/mech_measure_test.c, with room to spare: */
	size_t heap;                    /* worst case of arena bytes a loaded key keeps, or loading it takes */
	size_t work;                    /* worst case of arena bytes its other slots take */
	size_t depth;                   /* measured stack depth of any slot here, bytes to wipe */
	bool slow;                      /* generation takes more than 100 us */

	/* Fresh material. pub is SPKI (empty for secret keys). */
	hsm_status (*generate)(hsm_spec spec, const hsm_params *params,
	                       struct secret *material, struct secret *pub);
	/* Material -> a ready key; validates fully (points, RSA numbers, lengths).
	 * HSM_E_KEY_VALUE, HSM_E_KEY_SIZE, HSM_E_CURVE. Fills key->spec. */
	hsm_status (*load)(struct key *key, hsm_in material);
	void (*unload)(struct key *key);
	/* SPKI of a private or public key. */
	hsm_status (*publish)(const struct key *key, hsm_out *spki);
	/* PKCS#11 component (CKA_ number: MODULUS, EC_POINT, VALUE ...). The
	 * module has decided already that this one may leave. */
	hsm_status (*component)(const struct key *key, uint32_t attr, hsm_out *out);
	/* PKCS#11 components -> material in canonical form. */
	hsm_status (*compose)(enum key_part part, const hsm_attr *attrs, size_t n,
	                      struct secret *material);
	/* A secret key's bytes, for derivations from the base key's value; empty
	 * slot: the kind has no such bytes. Never leaves mech. */
	hsm_in (*value)(const struct key *key);
	/* Pairwise consistency (FIPS 140-3 IG 10.3.A) of a private key. */
	hsm_status (*consistent)(const struct key *key);
};

/* A key ready to work. ctx lies in the arena and is the family's own; it is
 * immutable once loaded, so that threads share it without a lock. */
struct key {
	const struct kind *kind;
	enum key_part part;
	hsm_spec spec;
	void *ctx;
};

#define MECH_ENCRYPT   0x0001u
#define MECH_DECRYPT   0x0002u
#define MECH_SIGN      0x0004u     /* signatures and MACs */
#define MECH_VERIFY    0x0008u
#define MECH_DIGEST    0x0010u
#define MECH_WRAP      0x0020u
#define MECH_UNWRAP    0x0040u
#define MECH_DERIVE    0x0080u
#define MECH_GENERATE  0x0100u
#define MECH_ENCAP     0x0200u
#define MECH_DECAP     0x0400u
#define MECH_RECOVER   0x0800u     /* sign/verify-recover */
#define MECH_APPROVED  0x10000u    /* see `approved` for what depends on parameters */
#define MECH_SLOW      0x20000u    /* goes to a worker when called from JavaScript */
#define MECH_STREAM    0x40000u    /* has stream slots */
#define MECH_COUNTED   0x200000u   /* a key seals 2^32 messages at most */
#define MECH_AEAD      0x80000u    /* iv made inside unless params give one */

struct mech {
	hsm_mech id;
	const char *name;               /* PKCS#11 name without CKM_ */
	uint32_t key_type;              /* HSM_KEY_ANY: none or any */
	uint32_t min_bits, max_bits;    /* of the key; curves count by field size */
	uint32_t flags;
	hsm_hash hash;                  /* fixed by the mechanism, or HSM_HASH_NONE */
	size_t heap;                    /* worst case of arena bytes one operation takes */
	size_t depth;                   /* measured stack depth to wipe, bytes */
	/* Where short messages take less: one call for at most len bytes, aad
	 * included, takes no arena bytes at all and this depth. */
	struct { size_t len, depth; } brief;

	/* Approved for this use (one MECH_ bit), with this key (NULL: none) and
	 * these parameters? Empty: the flag says. An iv given from outside is
	 * approved for decryption only; SHA-1 for verifying only: hence `use`. */
	bool (*approved)(const struct key *key, uint32_t use, const hsm_params *params);

	/* Slots of keyed rows get a key of the row's type; params is never NULL.
	 * One shot. out->ptr NULL asks for the size (an upper bound is allowed). */
	hsm_status (*seal)(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out);
	hsm_status (*open)(const struct key *key, const hsm_params *params, hsm_in in, hsm_out *out);
	hsm_status (*sign)(const struct key *key, const hsm_params *params, hsm_in msg, hsm_out *sig);
	hsm_status (*verify)(const struct key *key, const hsm_params *params, hsm_in msg, hsm_in sig);
	hsm_status (*recover)(const struct key *key, const hsm_params *params, hsm_in sig, hsm_out *msg);
	hsm_status (*digest)(const hsm_params *params, hsm_in in, hsm_out *out);
	/* Key material in the canonical form of `spec`, `want` 0: as long as the
	 * mechanism gives. */
	hsm_status (*derive)(const struct key *key, const hsm_params *params, size_t want, struct secret *out);
	hsm_status (*encap)(const struct key *key, const hsm_params *params, hsm_out *ct, struct secret *shared);
	hsm_status (*decap)(const struct key *key, const hsm_params *params, hsm_in ct, struct secret *shared);
	/* Wrap and unwrap material (canonical form). Where both are empty and
	 * seal/open are there, the module wraps with those. */
	hsm_status (*wrap)(const struct key *key, const hsm_params *params, hsm_in material, hsm_out *out);
	hsm_status (*unwrap)(const struct key *key, const hsm_params *params, hsm_in wrapped, struct secret *material);

	/* Many parts. `use` is one of MECH_ENCRYPT, DECRYPT, SIGN, VERIFY,
	 * DIGEST. The family allocates s->ctx in the arena; end frees it and is
	 * called exactly once, whatever happened. Decryption of an AEAD gives
	 * nothing before final. */
	hsm_status (*begin)(struct stream *s);
	hsm_status (*update)(struct stream *s, hsm_in in, hsm_out *out);
	hsm_status (*final)(struct stream *s, hsm_in sig, hsm_out *out);  /* sig: VERIFY only */
	hsm_status (*clone)(const struct stream *from, struct stream *to); /* operation state of digests */
	void (*end)(struct stream *s);
};

/* One operation of many parts; lies in the arena, owned by a session. */
struct stream {
	const struct mech *mech;
	const struct key *key;          /* on loan; NULL for digests */
	uint32_t use;
	hsm_params params;              /* ranges in it point into the session's own copy */
	void *ctx;
};

/* registry.c - the one list of families. Order is the order of
 * C_GetMechanismList. */
const struct mech *mech_find(hsm_mech id);          /* NULL: no such */
const struct mech *mech_at(size_t i);               /* NULL: past the end */
const struct kind *kind_find(uint32_t type);
const struct kind *kind_at(size_t i);

/* key.c - load and unload through the kind; key->ctx is NULL after. */
HSM_MUST_USE hsm_status key_load(struct key *key, uint32_t type, enum key_part part, hsm_in material);
void key_unload(struct key *key);

/* Known-answer tests, at least one a family: the pre-operational and
 * conditional self-tests call them by name. `broken` (test builds) corrupts
 * the answer. at_start: what sealing and the integrity value stand on, first
 * in the list. All of them together take about 3 ms. */
struct self_test { const char *name; bool at_start; hsm_status (*run)(bool broken); };
const struct self_test *self_test_at(size_t i);     /* NULL: past the end */

#endif
