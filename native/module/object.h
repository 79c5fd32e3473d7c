/* object.h - what a handle names: attributes, policy, and a key on loan.
 *
 * The key of an object that was opened from its sealed form may be evicted
 * and loaded again; whoever uses it holds a loan (object_acquire), and a slot
 * is wiped when the last reader leaves. */
#ifndef STRONGROOM_OBJECT_H
#define STRONGROOM_OBJECT_H

#include "../mech/mech.h"
#include "hsm.h"
#include "partition.h"
#include "session.h"

struct object;

#define OBJECT_SLOT_BITS 24u      /* of a handle: the slot; the rest is the generation */

/* Beside the MECH_ bits: what is done to an object as a whole. */
#define USE_DESCRIBE  0x1000u     /* attributes, public parts */
#define USE_CHANGE    0x2000u     /* attributes */
#define USE_SEAL      0x4000u
#define USE_DESTROY   0x8000u
/* Beside MECH_DECRYPT: the plaintext leaves for an attested recipient only. */
#define USE_ATTESTED  0x100000u

/* The loan, after the one gate said yes: `use` is one MECH_* bit
 * (with USE_ATTESTED where that is so), mech NULL
 * where no mechanism is involved. Loads the key for the MECH_ bits.
 * A KDK works only through the envelope calls: MECH_ENCRYPT or MECH_DECRYPT
 * with mech NULL. The loan may be given back by another thread.
 * HSM_E_HANDLE, HSM_E_PARTITION, HSM_E_POLICY, HSM_E_ROLE, HSM_E_MECH,
 * HSM_E_KEY_TYPE, HSM_E_KEY_SIZE, HSM_E_NOT_APPROVED. */
HSM_MUST_USE hsm_status object_acquire(struct session *s, hsm_key handle, uint32_t use, const struct mech *mech, struct object **o);
void object_release(struct object *o);                    /* NULL is fine */
const struct key *object_key(const struct object *o);
/* Its canonical material, while on loan (a KDK's bytes, for seal.h). */
const struct secret *object_material(const struct object *o);
struct partition *object_partition(const struct object *o);
hsm_binding object_binding(const struct object *o);       /* empty before it was sealed */

/* Make an object. Takes `material` over and empties it; on failure it stays
 * the caller's. Attribute defaults and one-way flags are set here. */
HSM_MUST_USE hsm_status object_adopt(struct session *s, struct partition *p, uint32_t klass, hsm_spec spec,
	const hsm_attr *attrs, size_t n, struct secret *material, bool local, hsm_key *handle);

/* The partition is closed: its objects go, their keys are wiped when the last
 * loan is given back. */
void object_forget(const struct partition *p);              /* NULL: all */
/* The user logged out: private objects of the partition go. */
void object_forget_private(const struct partition *p);

/* ---- for this room ------------------------------------------------------- */

struct facts;

/* object_acquire for a session that was only looked at. */
HSM_MUST_USE hsm_status object_borrow(hsm_session session, const struct session_glance *g, hsm_key handle, uint32_t use,
	const struct mech *mech, struct object **o);

/* What a new object is made of. */
struct object_plan {
	struct session *session;
	struct partition *part;                 /* on loan with the caller */
	uint32_t klass;
	hsm_spec spec;                          /* param 0: as the material says */
	const struct facts_order *order;        /* or: */
	const struct facts *from;               /* a copy of this record */
	const hsm_attr *attrs;
	size_t n;
	struct secret *material;                /* taken over */
	bool consistent;                        /* test a private key against itself first */
	hsm_status inconsistent;                /* what that failure answers */
};

/* Make one; it is nobody's yet. object_publish gives it to the table (then *o
 * is NULL, also when it was ended at once, its partition being closed) and
 * answers its handle; object_discard wipes it. */
HSM_MUST_USE hsm_status object_make(const struct object_plan *plan, struct object **o);
HSM_MUST_USE hsm_status object_publish(struct session *s, struct object **o, hsm_key *handle);
void object_discard(struct object *o);                    /* NULL is fine */

hsm_key object_handle(const struct object *o);
const struct facts *object_facts(const struct object *o);
bool object_strict(const struct object *o);
bool object_lives(hsm_key handle);
void object_end(hsm_key handle);                          /* unless it is gone, or kept at rest */
uint64_t object_count(void);
void object_fork(void);

/* For walks. */
uint32_t object_span(void);
struct object *object_at(uint32_t slot);                  /* on loan; NULL: none */
int64_t object_loans(const struct object *o);

#endif
