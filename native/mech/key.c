/* key.c - loading and unloading keys, and what all kinds share. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>

#include "family.h"

hsm_status
key_load(struct key *key, uint32_t type, enum key_part part, hsm_in material)
{
	const struct kind *kind = kind_find(type);
	hsm_status st;

	*key = (struct key){ .kind = kind, .part = part, .spec = { .type = type } };
	if (kind == NULL)
		return HSM_E_KEY_TYPE;
	if ((st = kind->load(key, material)) != HSM_OK)
		key_unload(key);
	return st;
}

void
key_unload(struct key *key)
{
	if (key->kind != NULL && key->ctx != NULL)
		key->kind->unload(key);
	key->ctx = NULL;
}

hsm_in
attr_find(const hsm_attr *attrs, size_t n, uint32_t type, bool *there)
{
	if (there != NULL)
		*there = false;
	for (size_t i = 0; i < n; i++) {
		if (attrs[i].type != type)
			continue;
		if (there != NULL)
			*there = true;
		return attrs[i].value;
	}
	return HSM_NONE;
}

hsm_status
out_bytes(hsm_out *out, hsm_in bytes)
{
	hsm_status st = out_need(out, bytes.len);

	if (st == HSM_OK && out->ptr != NULL && bytes.len > 0)
		memcpy(out->ptr, bytes.ptr, bytes.len);
	return st;
}

hsm_status
out_shown(hsm_out *out, const uint8_t *bytes, size_t len)
{
	mark_public(&len, sizeof len);
	return out_bytes(out, (hsm_in){ bytes, len });
}

hsm_status
out_number(hsm_out *out, uint64_t value)
{
	return out_bytes(out, (hsm_in){ (const uint8_t *)&value, sizeof value });
}

hsm_status
library_status(hsm_status otherwise)
{
	hsm_status st = otherwise;
	uint32_t error;

	while ((error = ERR_get_error()) != 0) {
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			st = HSM_E_MEMORY;
	}
	return st;
}

hsm_status
secret_from_cbb(CBB *cbb, struct secret *s)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	hsm_status st;

	if (!CBB_finish(cbb, &bytes, &len))
		return library_status(HSM_E_CRYPTO);
	st = secret_copy(s, (hsm_in){ bytes, len });
	OPENSSL_free(bytes);            /* wiped by the arena */
	return st;
}

size_t
derive_len(const hsm_params *params, size_t want, size_t all)
{
	if (want != 0)
		return want;
	switch (params->spec.type) {
	case HSM_KEY_KDK: return 32;
	case HSM_KEY_DES3: return 24;
	case HSM_KEY_CHACHA20: return 32;
	default: return params->spec.param != 0 ? params->spec.param / 8 : all;
	}
}
