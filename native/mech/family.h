/* family.h - what a mechanism family hands to the registry, and the few words
 * all families share. Seen by this room only. */
#ifndef STRONGROOM_FAMILY_H
#define STRONGROOM_FAMILY_H

#include <openssl/base.h>
#include <openssl/bytestring.h>
#include <openssl/evp.h>

#include "../base/arena.h"
#include "../base/lab.h"
#include "../base/mark.h"
#include "mech.h"

struct family {
	const struct mech *rows;
	size_t rows_n;
	const struct kind *kinds;
	size_t kinds_n;
	const struct self_test *tests;
	size_t tests_n;
};

/* The hashes that signatures and MACs come with: X(tag, hash). */
#define EACH_HASH(X) X(sha1, HSM_SHA1) X(sha224, HSM_SHA224) X(sha256, HSM_SHA256) X(sha384, HSM_SHA384) \
	X(sha512, HSM_SHA512) X(sha3_224, HSM_SHA3_224) X(sha3_256, HSM_SHA3_256) X(sha3_384, HSM_SHA3_384) \
	X(sha3_512, HSM_SHA3_512)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The value of an attribute, or an empty range. `there` may be NULL. */
hsm_in attr_find(const hsm_attr *attrs, size_t n, uint32_t type, bool *there);
/* Answers for component slots. */
hsm_status out_bytes(hsm_out *out, hsm_in bytes);
/* The same for what was opened just now: how long it is shows. */
hsm_status out_shown(hsm_out *out, const uint8_t *bytes, size_t len);
hsm_status out_number(hsm_out *out, uint64_t value);     /* native uint64 */

/* What the library's error queue says, and empties it: HSM_E_MEMORY when an
 * allocation failed, else `otherwise`. */
hsm_status library_status(hsm_status otherwise);

/* How many bytes a derivation makes: what was wanted, what the spec's type
 * needs, else all there is. */
size_t derive_len(const hsm_params *params, size_t want, size_t all);

/* A MAC that was made, against one that was given. */
static inline hsm_status
mac_compare(uint8_t *mac, const uint8_t *given, size_t len)
{
	mac[0] ^= (uint8_t)(lab(LAB_TAG_FLIP) & 1);
	return bytes_equal_secret(mac, given, len) ? HSM_OK : HSM_E_SIGNATURE;
}

/* Set out->len to 0 on failure. */
static inline hsm_status
out_done(hsm_out *out, hsm_status st)
{
	if (st != HSM_OK && st != HSM_E_BUFFER)
		out->len = 0;
	return st;
}

/* The bytes of a finished CBB, into the arena; the CBB is used up. */
hsm_status secret_from_cbb(CBB *cbb, struct secret *s);

/* hash.c */
const EVP_MD *hash_md(hsm_hash hash);                    /* NULL: no such */
bool hash_secure(hsm_hash hash);                         /* not SHA-1, not none */

/* hashed.c - streams that hash, then call the row's one-shot slot with
 * HSM_PARAM_PREHASHED. */
hsm_status hashed_begin(struct stream *s);
hsm_status hashed_update(struct stream *s, hsm_in in, hsm_out *out);
hsm_status hashed_final(struct stream *s, hsm_in sig, hsm_out *out);
void hashed_end(struct stream *s);

/* The digest to sign: of msg, or msg itself where it is one already
 * (HSM_PARAM_PREHASHED; its length must fit). buf: PRIMITIVE_HASH_MAX. */
hsm_status hashed_input(hsm_hash hash, const hsm_params *params, hsm_in msg, uint8_t *buf, hsm_in *digest);

/* gather.c - streams that keep all input, then call the row's one-shot slot. */
hsm_status gather_begin(struct stream *s);
hsm_status gather_update(struct stream *s, hsm_in in, hsm_out *out);
hsm_status gather_final(struct stream *s, hsm_in sig, hsm_out *out);
void gather_end(struct stream *s);

#define HASHED_SLOTS .begin = hashed_begin, .update = hashed_update, .final = hashed_final, .end = hashed_end
#define GATHER_SLOTS .begin = gather_begin, .update = gather_update, .final = gather_final, .end = gather_end

/* raw.c - material that is its own key. */
hsm_in raw_value(const struct key *key);                 /* empty: not a secret key */
hsm_status raw_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material);

#endif
