/* resident.h - an object, and its key's coming and going.
 *
 * The number, the attributes and the sealed bytes of an object lie in ordinary
 * memory; the key and its material lie in the arena, while there is room. Any
 * key whose sealed form is at hand may go and come back: what was opened from
 * a sealed form, and what was made here, which is sealed under a key of this
 * process when room is short.
 *
 *   ABSENT -> PRESENT -> LEAVING -> ABSENT        all under the object's lock
 *
 * A reader takes its loan first and looks at the residency afterwards; an
 * evictor says LEAVING first and counts loans afterwards: one of the two sees
 * the other, and gives way. */
#ifndef STRONGROOM_RESIDENT_H
#define STRONGROOM_RESIDENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "attrs.h"
#include "index.h"
#include "partition.h"

#define BINDING_MAX 64u

enum residency { ABSENT, PRESENT, LEAVING };

struct invocations;

struct object {
	hsm_key handle;
	struct partition *part;
	hsm_session owner;              /* dies with this session; 0: with none */
	pthread_mutex_t lock;           /* coming, going, changing, sealed form */
	_Atomic(struct facts *) facts;  /* NULL: not opened yet */
	_Atomic int residency;
	_Atomic bool warm;              /* used since the clock's hand passed */
	bool kept;                      /* the sealed form is at rest with somebody */
	bool own_seal;                  /* `sealed` is under this process's key */
	struct index_node index[INDEX_WAYS];
	struct key key;                 /* while PRESENT; kind NULL: no key (data) */
	struct secret material;
	uint8_t *sealed;                /* NULL: none */
	size_t sealed_len;
	_Atomic(struct invocations *) invocations;   /* NULL: none yet */
	uint8_t id_len, material_id_len;
	uint8_t names[2 * BINDING_MAX]; /* object_id, material_id */
};

/* Make material into a ready key of `o` (validates it). Takes the material
 * over; on failure it stays the caller's. */
HSM_MUST_USE hsm_status resident_settle(struct object *o, uint32_t klass, uint32_t type, struct secret *material);
/* The key is there afterwards and stays while the caller has a loan.
 * HSM_E_INTEGRITY, HSM_E_NOT_LOGGED_IN, HSM_E_MEMORY ... */
HSM_MUST_USE hsm_status resident_load(struct object *o);
void resident_wipe(struct object *o);               /* when nobody has a loan */

/* Make room: true when at least one key went. Prefers keys that were not used
 * lately. Never waits for a key that is in use. */
bool resident_evict(size_t want);

/* The sealed form: one byte (0 private, 1 public), then a seal over record and
 * material, bound to the partition's account and the names. Format:
 * docs/formats/object.md. */
HSM_MUST_USE hsm_status resident_seal(struct object *o, hsm_binding names, hsm_out *sealed);

HSM_MUST_USE hsm_status resident_open_boot(void);   /* a fresh key for this process */
void resident_close_boot(void);
void object_bind(struct object *o, hsm_binding names);
void resident_fork(void);
uint64_t resident_count(void);                      /* keys in the arena now */

#endif
