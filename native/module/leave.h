/* leave.h - the one way plaintext leaves: into a caller's room, or for an
 * attested recipient (cms.h), or not at all. */
#ifndef STRONGROOM_LEAVE_H
#define STRONGROOM_LEAVE_H

#include "cms.h"
#include "partition.h"

/* out NULL: nothing leaves. recipient.ptr NULL: in the clear. */
struct leave { hsm_out *out; hsm_in recipient; struct cms_recipient to; };

/* HSM_E_POLICY: in the clear, and the partition is strict. */
HSM_MUST_USE hsm_status leave_allowed(const struct leave *l, const struct partition *p);
/* Arena bytes and stack for the rest, which runs inside gate_run. */
size_t leave_heap(const struct leave *l, size_t clear_len);
size_t leave_depth(const struct leave *l);
HSM_MUST_USE hsm_status leave_open(struct leave *l);        /* paired with close, which is fine without */
HSM_MUST_USE hsm_status leave_need(const struct leave *l, size_t clear_len);    /* out_need */
HSM_MUST_USE hsm_status leave_put(const struct leave *l, hsm_in clear);         /* the room is there */
void leave_close(struct leave *l);

#endif
