/* map.c - statuses to CK_RV, templates to attributes. One table each. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

static const CK_RV table[HSM_STATUS_COUNT] = {
	[HSM_OK] = CKR_OK,
	[HSM_E_ARGS] = CKR_ARGUMENTS_BAD,
	[HSM_E_BUFFER] = CKR_BUFFER_TOO_SMALL,
	[HSM_E_MEMORY] = CKR_HOST_MEMORY,
	[HSM_E_LIMIT] = CKR_DEVICE_MEMORY,
	[HSM_E_STATE] = CKR_DEVICE_ERROR,
	[HSM_E_SEALED] = CKR_DEVICE_ERROR,
	[HSM_E_SESSION] = CKR_SESSION_HANDLE_INVALID,
	[HSM_E_ROLE] = CKR_USER_NOT_LOGGED_IN,
	[HSM_E_READ_ONLY] = CKR_SESSION_READ_ONLY,
	[HSM_E_HANDLE] = CKR_OBJECT_HANDLE_INVALID,
	[HSM_E_PARTITION] = CKR_OBJECT_HANDLE_INVALID,
	[HSM_E_POLICY] = CKR_ACTION_PROHIBITED,
	[HSM_E_MECH] = CKR_MECHANISM_INVALID,
	[HSM_E_PARAM] = CKR_MECHANISM_PARAM_INVALID,
	[HSM_E_KEY_TYPE] = CKR_KEY_TYPE_INCONSISTENT,
	[HSM_E_KEY_SIZE] = CKR_KEY_SIZE_RANGE,
	[HSM_E_KEY_VALUE] = CKR_ATTRIBUTE_VALUE_INVALID,
	[HSM_E_CURVE] = CKR_CURVE_NOT_SUPPORTED,
	[HSM_E_DATA] = CKR_DATA_INVALID,
	[HSM_E_DATA_LEN] = CKR_DATA_LEN_RANGE,
	[HSM_E_CIPHERTEXT] = CKR_ENCRYPTED_DATA_INVALID,
	[HSM_E_CIPHERTEXT_LEN] = CKR_ENCRYPTED_DATA_LEN_RANGE,
	[HSM_E_SIGNATURE] = CKR_SIGNATURE_INVALID,
	[HSM_E_SIGNATURE_LEN] = CKR_SIGNATURE_LEN_RANGE,
	[HSM_E_TEMPLATE] = CKR_TEMPLATE_INCONSISTENT,
	[HSM_E_TEMPLATE_INCOMPLETE] = CKR_TEMPLATE_INCOMPLETE,
	[HSM_E_ATTR_TYPE] = CKR_ATTRIBUTE_TYPE_INVALID,
	[HSM_E_ATTR_VALUE] = CKR_ATTRIBUTE_VALUE_INVALID,
	[HSM_E_ATTR_READ_ONLY] = CKR_ATTRIBUTE_READ_ONLY,
	[HSM_E_ATTR_SENSITIVE] = CKR_ATTRIBUTE_SENSITIVE,
	[HSM_E_UNEXTRACTABLE] = CKR_KEY_UNEXTRACTABLE,
	[HSM_E_WRAPPING] = CKR_KEY_NOT_WRAPPABLE,
	[HSM_E_PIN] = CKR_PIN_INCORRECT,
	[HSM_E_PIN_LEN] = CKR_PIN_LEN_RANGE,
	[HSM_E_PIN_LOCKED] = CKR_PIN_LOCKED,
	[HSM_E_PIN_UNSET] = CKR_USER_PIN_NOT_INITIALIZED,
	[HSM_E_LOGGED_IN] = CKR_USER_ALREADY_LOGGED_IN,
	[HSM_E_NOT_LOGGED_IN] = CKR_USER_NOT_LOGGED_IN,
	[HSM_E_OP_ACTIVE] = CKR_OPERATION_ACTIVE,
	[HSM_E_OP_INACTIVE] = CKR_OPERATION_NOT_INITIALIZED,
	[HSM_E_RANDOM] = CKR_DEVICE_ERROR,
	[HSM_E_INTEGRITY] = CKR_DEVICE_ERROR,
	[HSM_E_ROOT] = CKR_DEVICE_ERROR,
	[HSM_E_MODE] = CKR_FUNCTION_REJECTED,
	[HSM_E_COUNTER] = CKR_KEY_EXHAUSTED,
	[HSM_E_WEAKENED] = CKR_FUNCTION_REJECTED,
	[HSM_E_GONE] = CKR_DEVICE_REMOVED,
	[HSM_E_NOT_APPROVED] = CKR_MECHANISM_INVALID,
	[HSM_E_EXPIRED] = CKR_KEY_FUNCTION_NOT_PERMITTED,
	[HSM_E_EXISTS] = CKR_FUNCTION_FAILED,
	[HSM_E_IO] = CKR_DEVICE_ERROR,
	[HSM_E_FORMAT] = CKR_DATA_INVALID,
	[HSM_E_UNSUPPORTED] = CKR_FUNCTION_NOT_SUPPORTED,
	[HSM_E_SELF_TEST] = CKR_FIPS_SELF_TEST_FAILED,
	[HSM_E_CRYPTO] = CKR_FUNCTION_FAILED,
};

CK_RV
rv_from(hsm_status st)
{
	/* A status without a line above would read as CKR_OK. */
	if (st == HSM_OK)
		return CKR_OK;
	return (unsigned)st < HSM_STATUS_COUNT && table[st] != CKR_OK ? table[st] : CKR_GENERAL_ERROR;
}

CK_RV
rv_key(hsm_status st)
{
	switch (st) {
	case HSM_E_HANDLE:
	case HSM_E_PARTITION:
		return CKR_KEY_HANDLE_INVALID;
	case HSM_E_POLICY:
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	default:
		return rv_from(st);
	}
}

CK_RV
rv_wrapping(hsm_status st)
{
	switch (st) {
	case HSM_E_KEY_TYPE:
		return CKR_WRAPPING_KEY_TYPE_INCONSISTENT;
	case HSM_E_KEY_SIZE:
		return CKR_WRAPPING_KEY_SIZE_RANGE;
	case HSM_E_DATA_LEN:
		return CKR_KEY_SIZE_RANGE;
	default:
		return rv_key(st);
	}
}

CK_RV
rv_unwrapping(hsm_status st)
{
	switch (st) {
	case HSM_E_HANDLE:
	case HSM_E_PARTITION:
		return CKR_UNWRAPPING_KEY_HANDLE_INVALID;
	case HSM_E_KEY_TYPE:
		return CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
	case HSM_E_CIPHERTEXT:
	case HSM_E_KEY_VALUE:
		return CKR_WRAPPED_KEY_INVALID;
	case HSM_E_CIPHERTEXT_LEN:
		return CKR_WRAPPED_KEY_LEN_RANGE;
	default:
		return rv_key(st);
	}
}

/* ---- templates ------------------------------------------------------------- */

#define ATTRS_MAX 1024u
#define VALUE_MAX (1u << 20)

static bool
is_template(CK_ATTRIBUTE_TYPE type)
{
	return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE || type == CKA_DERIVE_TEMPLATE
	    || type == CKA_ENCAPSULATE_TEMPLATE || type == CKA_DECAPSULATE_TEMPLATE;
}

/* u32 type | u32 length | bytes for each. Templates in templates are refused. */
static CK_RV
nested_write(const CK_ATTRIBUTE *outer, uint8_t *to, size_t cap, size_t *len)
{
	const CK_ATTRIBUTE *list = outer->pValue;
	size_t n = outer->ulValueLen / sizeof *list;
	struct writer w;

	if (outer->ulValueLen % sizeof *list != 0 || n > ATTRS_MAX)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	writer_init(&w, to, cap);
	for (size_t i = 0; i < n; i++) {
		if (list[i].type > UINT32_MAX || is_template(list[i].type) || list[i].ulValueLen > VALUE_MAX
		    || (list[i].pValue == NULL && list[i].ulValueLen != 0))
			return CKR_ATTRIBUTE_VALUE_INVALID;
		writer_u32(&w, (uint32_t)list[i].type);
		writer_block32(&w, (hsm_in){ list[i].pValue, list[i].ulValueLen });
	}
	*len = w.len;
	return CKR_OK;
}

static CK_RV
nested_from(struct templ *a, const CK_ATTRIBUTE *outer, size_t *used, size_t room, hsm_in *value)
{
	size_t len;
	CK_RV rv = nested_write(outer, a->room + *used, room - *used, &len);

	if (rv != CKR_OK)
		return rv;
	*value = (hsm_in){ a->room + *used, len };
	*used += len;
	return CKR_OK;
}

/* Bytes that nested templates take, flattened. */
static CK_RV
nested_size(const CK_ATTRIBUTE *templ, CK_ULONG n, size_t *size)
{
	size_t len;
	CK_RV rv;

	*size = 0;
	for (CK_ULONG i = 0; i < n; i++) {
		if (!is_template(templ[i].type) || templ[i].pValue == NULL)
			continue;
		if ((rv = nested_write(&templ[i], NULL, 0, &len)) != CKR_OK)
			return rv;
		*size += len;
	}
	return CKR_OK;
}

CK_RV
templ_from(struct templ *a, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	size_t used = 0, room;
	CK_RV rv;

	memset(a, 0, sizeof *a);
	if ((templ == NULL && n != 0) || n > ATTRS_MAX)
		return CKR_ARGUMENTS_BAD;
	if ((rv = nested_size(templ, n, &room)) != CKR_OK)
		return rv;
	/* Some rows more: the door adds what a mechanism implies. */
	a->cap = n + 8;
	if ((a->at = calloc(a->cap, sizeof *a->at)) == NULL || (a->room = malloc(room + 1)) == NULL) {
		rv = CKR_HOST_MEMORY;
		goto out;
	}
	for (CK_ULONG i = 0; i < n; i++) {
		hsm_attr *to = &a->at[a->n++];

		rv = CKR_ATTRIBUTE_TYPE_INVALID;
		if (templ[i].type > UINT32_MAX)
			goto out;
		rv = CKR_ATTRIBUTE_VALUE_INVALID;
		if (templ[i].ulValueLen > VALUE_MAX || (templ[i].pValue == NULL && templ[i].ulValueLen != 0))
			goto out;
		to->type = (uint32_t)templ[i].type;
		to->value = (hsm_in){ templ[i].pValue, templ[i].ulValueLen };
		if (is_template(templ[i].type) && templ[i].pValue != NULL
		    && (rv = nested_from(a, &templ[i], &used, room, &to->value)) != CKR_OK)
			goto out;
	}
	rv = CKR_OK;
out:
	if (rv != CKR_OK)
		templ_free(a);
	return rv;
}

void
templ_free(struct templ *a)
{
	free(a->at);
	free(a->room);
	memset(a, 0, sizeof *a);
}

const hsm_attr *
templ_find(const struct templ *a, CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->at[i].type == type)
			return &a->at[i];
	return NULL;
}

CK_RV
templ_add(struct templ *a, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
	if (a->n == a->cap)
		return CKR_GENERAL_ERROR;
	a->at[a->n++] = (hsm_attr){ (uint32_t)type, { value, len } };
	return CKR_OK;
}

CK_RV
templ_bool(const struct templ *a, CK_ATTRIBUTE_TYPE type, bool *value)
{
	const hsm_attr *it = templ_find(a, type);

	if (it == NULL)
		return CKR_OK;
	if (it->value.len != sizeof(CK_BBOOL))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	*value = it->value.ptr[0] != CK_FALSE;
	return CKR_OK;
}

CK_RV
templ_number(const struct templ *a, CK_ATTRIBUTE_TYPE type, CK_ULONG *value)
{
	const hsm_attr *it = templ_find(a, type);

	if (it == NULL)
		return CKR_OK;
	if (it->value.len != sizeof(CK_ULONG))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	memcpy(value, it->value.ptr, sizeof *value);
	return CKR_OK;
}
