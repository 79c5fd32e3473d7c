/* envelope.h - what a KMS key encrypts: one blob a message, under a key
 * derived for it alone. Format: docs/formats/envelope.md.
 *
 * An envelope is worked on in two steps: outside the gate it is told whose it
 * is (envelope_name), inside it is sealed or opened. */
#ifndef STRONGROOM_ENVELOPE_H
#define STRONGROOM_ENVELOPE_H

#include "../mech/hkey.h"
#include "object.h"

#define ENVELOPE_PLAIN_MAX 4096u
#define ENVELOPE_NAMES_MAX 147u         /* magic to material id, longest form */
#define ENVELOPE_NONCE 16u
#define ENVELOPE_COMMITMENT 32u
#define ENVELOPE_TAG 16u
#define ENVELOPE_DEPTH 8192u

/* A key and the names its blobs carry. */
struct envelope {
	const struct hkey *key;
	uint8_t names[ENVELOPE_NAMES_MAX];
	size_t names_len;
};

/* Of an object on loan. HSM_E_KEY_TYPE: not a KDK; HSM_E_POLICY: it was never
 * sealed, so it has no name yet. */
HSM_MUST_USE hsm_status envelope_name(struct envelope *e, const struct object *o);
size_t envelope_len(const struct envelope *e, size_t plain_len);
/* Arena bytes to hold for one seal or open. */
size_t envelope_heap(hsm_in pairs);

/* Inside gate_run. blob: envelope_len bytes. HSM_E_DATA, HSM_E_DATA_LEN for
 * the pairs. */
HSM_MUST_USE hsm_status envelope_seal(const struct envelope *e, hsm_in pairs, hsm_in plain, uint8_t *blob);
/* plain: at least envelope_plain_len bytes, in the arena or on its stack, for
 * what does not open is written there before it is known. HSM_E_CIPHERTEXT. */
HSM_MUST_USE hsm_status envelope_open(const struct envelope *e, hsm_in pairs, hsm_in blob, uint8_t *plain);
/* Bytes of plaintext in a blob of `e`; 0: it cannot be one. */
size_t envelope_plain_len(const struct envelope *e, size_t blob_len);

#endif
