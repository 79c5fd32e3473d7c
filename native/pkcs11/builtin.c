/* builtin.c - objects by which the module tells what it is: the profiles it
 * serves, and that nobody has validated it. */
#include <string.h>

#include "door.h"

/* Above every handle of the core, which fit 53 bits. */
#define BUILTIN_BASE (UINT64_C(1) << 60)

#define NUMBER(n) { (const uint8_t *)&(const CK_ULONG){ n }, sizeof(CK_ULONG) }
#define FLAG(f) { (const uint8_t *)&(const CK_BBOOL){ f }, sizeof(CK_BBOOL) }
#define TEXT(t) { (const uint8_t *)(t), sizeof(t) - 1 }

#define COMMON(klass, id) \
	{ CKA_CLASS, NUMBER(klass) }, { CKA_TOKEN, FLAG(CK_TRUE) }, { CKA_PRIVATE, FLAG(CK_FALSE) }, \
	{ CKA_MODIFIABLE, FLAG(CK_FALSE) }, { CKA_COPYABLE, FLAG(CK_FALSE) }, { CKA_DESTROYABLE, FLAG(CK_FALSE) }, \
	{ CKA_LABEL, TEXT("") }, { CKA_UNIQUE_ID, TEXT(id) }

#define ROWS_MAX 24
static const struct builtin { hsm_attr attrs[ROWS_MAX]; } builtins[] = {
	{ { COMMON(CKO_PROFILE, "strongroom-profile-baseline"), { CKA_PROFILE_ID, NUMBER(CKP_BASELINE_PROVIDER) } } },
	{ { COMMON(CKO_PROFILE, "strongroom-profile-extended"), { CKA_PROFILE_ID, NUMBER(CKP_EXTENDED_PROVIDER) } } },
	{ { COMMON(CKO_VALIDATION, "strongroom-validation-none"),
	    { CKA_VALIDATION_TYPE, NUMBER(CKV_TYPE_SOFTWARE) },
	    { CKA_VALIDATION_VERSION, { (const uint8_t *)&(const CK_VERSION){ 0, 0 }, sizeof(CK_VERSION) } },
	    { CKA_VALIDATION_LEVEL, NUMBER(0) },
	    { CKA_VALIDATION_MODULE_ID, TEXT("Strongroom; self-tested, validated by nobody") },
	    { CKA_VALIDATION_FLAG, NUMBER(CKS_LAST_VALIDATION_OK) },
	    { CKA_VALIDATION_AUTHORITY_TYPE, NUMBER(CKV_AUTHORITY_TYPE_UNSPECIFIED) },
	    { CKA_VALIDATION_COUNTRY, TEXT("") },
	    { CKA_VALIDATION_CERTIFICATE_IDENTIFIER, TEXT("") },
	    { CKA_VALIDATION_CERTIFICATE_URI, TEXT("") },
	    { CKA_VALIDATION_VENDOR_URI, TEXT("") },
	    { CKA_VALIDATION_PROFILE, TEXT("") } } },
};
#define BUILTINS (sizeof builtins / sizeof builtins[0])

bool
builtin_holds(CK_OBJECT_HANDLE handle)
{
	return handle >= BUILTIN_BASE && handle - BUILTIN_BASE < BUILTINS;
}

size_t
builtin_count(void)
{
	return BUILTINS;
}

CK_OBJECT_HANDLE
builtin_at(size_t i)
{
	return BUILTIN_BASE + i;
}

/* Unused rows of the array end the list: they have no value to point at. */
static const hsm_attr *
builtin_find(CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type)
{
	const hsm_attr *attrs = builtins[handle - BUILTIN_BASE].attrs;

	for (size_t i = 0; i < ROWS_MAX && attrs[i].value.ptr != NULL; i++)
		if (attrs[i].type == type)
			return &attrs[i];
	return NULL;
}

hsm_status
builtin_get(CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type, hsm_out *value)
{
	const hsm_attr *attr = builtin_find(handle, type);
	hsm_status st;

	value->len = 0;
	if (attr == NULL)
		return HSM_E_ATTR_TYPE;
	if ((st = out_need(value, attr->value.len)) == HSM_OK && value->ptr != NULL && attr->value.len != 0)
		memcpy(value->ptr, attr->value.ptr, attr->value.len);
	return st;
}

bool
builtin_matches(CK_OBJECT_HANDLE handle, const hsm_attr *attrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const hsm_attr *attr = builtin_find(handle, attrs[i].type);

		if (attr == NULL || !bytes_equal(attr->value, attrs[i].value))
			return false;
	}
	return true;
}
