/* index.h - finding objects by label or id without looking at the others.
 *
 * An object hangs in a hash table by its label and by its id, once they are
 * known; one whose record was not read yet hangs there by its partition alone.
 * The hash is keyed, so that nobody can choose labels that meet. */
#ifndef STRONGROOM_INDEX_H
#define STRONGROOM_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/bytes.h"

struct facts;
struct partition;

enum index_by { INDEX_LABEL, INDEX_ID, INDEX_UNREAD, INDEX_WAYS };

/* Part of an object; zero: not in the table. */
struct index_node {
	struct index_node *next, **link;
	uint64_t hash, handle;
};

/* Hang `nodes` (INDEX_WAYS of them) by what the record says, or as unread
 * where there is none; take out what hung there before. Nothing can fail: the
 * table grows when it can. */
void index_place(struct index_node *nodes, uint64_t handle, const struct partition *p, const struct facts *f);
void index_remove(struct index_node *nodes);

/* Handles that may fit, the smallest slot first, from `slot` on. The caller
 * frees. HSM_E_MEMORY. */
HSM_MUST_USE hsm_status index_collect(enum index_by by, const struct partition *p, hsm_in value, uint64_t slot,
	uint64_t **handles, size_t *n);

void index_fork(void);

#endif
