#include "leave.h"

#include <string.h>

static bool
attested(const struct leave *l)
{
	return l->recipient.ptr != NULL;
}

hsm_status
leave_allowed(const struct leave *l, const struct partition *p)
{
	return l->out != NULL && !attested(l) && partition_strict(p) ? HSM_E_POLICY : HSM_OK;
}

size_t
leave_heap(const struct leave *l, size_t clear_len)
{
	return attested(l) ? CMS_HEAP + 2 * clear_len : 0;
}

size_t
leave_depth(const struct leave *l)
{
	return attested(l) ? CMS_DEPTH : 0;
}

hsm_status
leave_open(struct leave *l)
{
	return attested(l) ? cms_recipient_load(&l->to, l->recipient) : HSM_OK;
}

hsm_status
leave_need(const struct leave *l, size_t clear_len)
{
	if (l->out == NULL)
		return HSM_OK;
	return out_need(l->out, attested(l) ? cms_len(&l->to, clear_len) : clear_len);
}

hsm_status
leave_put(const struct leave *l, hsm_in clear)
{
	if (l->out == NULL)
		return HSM_OK;
	if (attested(l))
		return cms_seal(&l->to, clear, l->out->ptr);
	memcpy(l->out->ptr, clear.ptr, clear.len);
	return HSM_OK;
}

void
leave_close(struct leave *l)
{
	if (attested(l))
		cms_recipient_unload(&l->to);
}
