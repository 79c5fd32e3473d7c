/* raw.c - reading and writing secret keys whose material is the key itself. */
#include <string.h>

#include "family.h"

hsm_in
raw_value(const struct key *key)
{
	return key->kind->value == NULL ? HSM_NONE : key->kind->value(key);
}

hsm_status
raw_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	bool there;
	hsm_in value = attr_find(attrs, n, HSM_ATTR_VALUE, &there);

	if (part != PART_SECRET)
		return HSM_E_TEMPLATE;
	if (!there)
		return HSM_E_TEMPLATE_INCOMPLETE;
	if (value.len == 0)
		return HSM_E_ATTR_VALUE;
	return secret_copy(material, value);
}
