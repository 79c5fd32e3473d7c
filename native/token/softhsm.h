/* softhsm.h - SoftHSM2's object files, read. Nothing outside native/token
 * includes this.
 *
 * A token is a folder: token.object, and one file an object. A file is a u64
 * that counts changes, then attributes to the end:
 *
 *   u64 type | u64 kind | value, by kind:
 *   1 flag: u8     2 number: u64     3 bytes: u64 length, bytes
 *   4 template: u64 length, attributes (a u64 type, u64 kind, value each)
 *   5 mechanisms: u64 count, u64 each
 *
 * all big-endian. Bytes of objects with CKA_PRIVATE, where not empty, are
 * an IV and AES-256-CBC with padding under the token's key; that is wrapped for
 * user and SO: salt 8 | IV 16 | the same of "RJR" and the key, under SHA-256
 * of salt and PIN, iterated 1500 + (last byte of the salt) times in all. */
#ifndef STRONGROOM_TOKEN_SOFTHSM_H
#define STRONGROOM_TOKEN_SOFTHSM_H

#include "token.h"

enum soft_kind { SOFT_FLAG = 1, SOFT_NUMBER, SOFT_BYTES, SOFT_TEMPLATE, SOFT_MECHANISMS };

/* One attribute; bytes are views of the file. */
struct soft_attr { uint64_t type; enum soft_kind kind; uint64_t number; hsm_in bytes; };

#define SOFT_ATTRS_MAX 128u
#define SOFT_LABEL   0x80005349u
#define SOFT_SERIAL  0x8000534Au
#define SOFT_SO_PIN  0x8000534Cu
#define SOFT_USER_PIN 0x8000534Du

struct soft_object { uint8_t *file; size_t len; struct soft_attr attrs[SOFT_ATTRS_MAX]; size_t n; };

/* HSM_E_IO, HSM_E_FORMAT, HSM_E_LIMIT. */
HSM_MUST_USE hsm_status soft_read(const char *path, struct soft_object *o);
void soft_free(struct soft_object *o);                  /* empty is fine */
const struct soft_attr *soft_find(const struct soft_object *o, uint64_t type);
/* Attributes in a template's bytes. HSM_E_FORMAT. */
HSM_MUST_USE hsm_status soft_parse(hsm_in bytes, struct soft_attr *attrs, size_t room, size_t *n);

/* The token's key at work, in a partition of its own. */
struct soft_key { hsm_part part; hsm_session session; hsm_key key; };

/* By the user's PIN. HSM_E_PIN; HSM_E_PIN_UNSET; HSM_E_FORMAT. */
HSM_MUST_USE hsm_status soft_unlock(const struct soft_object *token, hsm_in pin, struct soft_key *k);
void soft_lock(struct soft_key *k);
/* to: room for sealed.len. HSM_E_CIPHERTEXT. */
HSM_MUST_USE hsm_status soft_open(const struct soft_key *k, hsm_in sealed, hsm_out *to);

#endif
