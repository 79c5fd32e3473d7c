/* status.c - names and sentences of the core's answers. */
#include "status.h"

static const struct { const char *name, *text; } table[] = {
#define HSM_STATUS_ROW(name, text) { #name, text },
	HSM_STATUS_LIST(HSM_STATUS_ROW)
#undef HSM_STATUS_ROW
};

_Static_assert(sizeof(table) / sizeof(table[0]) == HSM_STATUS_COUNT, "one row a status");

const char *
hsm_status_name(hsm_status status)
{
	if ((unsigned)status >= HSM_STATUS_COUNT)
		return "HSM_E_UNKNOWN";
	return table[status].name;
}

const char *
hsm_status_text(hsm_status status)
{
	if ((unsigned)status >= HSM_STATUS_COUNT)
		return "an answer that the core does not give";
	return table[status].text;
}
