/* attrs.h - what is said about an object, and the rules of saying it.
 *
 * An object's attributes are one immutable record (`struct facts`): numbers
 * and flags that the gate reads, beside a list of bytes. A change makes a new
 * record; readers keep the one they found while they have a loan.
 *
 * The rules are a table: one row an attribute, which classes have it, when a
 * caller may give it, whether it may be changed later, in which direction. */
#ifndef STRONGROOM_ATTRS_H
#define STRONGROOM_ATTRS_H

#include <stdbool.h>

#include "../mech/mech.h"
#include "hsm.h"

#define FACT_TOKEN              0x0001u
#define FACT_PRIVATE            0x0002u
#define FACT_MODIFIABLE         0x0004u
#define FACT_COPYABLE           0x0008u
#define FACT_DESTROYABLE        0x0010u
#define FACT_SENSITIVE          0x0020u
#define FACT_ALWAYS_SENSITIVE   0x0040u
#define FACT_EXTRACTABLE        0x0080u
#define FACT_NEVER_EXTRACTABLE  0x0100u
#define FACT_LOCAL              0x0200u
#define FACT_TRUSTED            0x0400u
#define FACT_WRAP_WITH_TRUSTED  0x0800u
#define FACT_ALWAYS_ASKS        0x1000u     /* CKA_ALWAYS_AUTHENTICATE */
#define FACT_REVEAL             0x2000u
#define FACT_ALL                0x3FFFu

#define FACTS_MAX 65536u                    /* bytes of one value, and of all */

struct facts {
	struct facts *old;                      /* replaced, still readable by loans of before */
	uint32_t klass;
	hsm_spec spec;
	uint32_t key_type;                      /* CKA_KEY_TYPE as given; usually spec.type */
	uint32_t use, flags;                    /* MECH_ bits, FACT_ bits */
	uint64_t made_by;                       /* CKA_KEY_GEN_MECHANISM; UINT64_MAX: not made here */
	hsm_in shared_with, allowed;            /* of the list, for the gate; allowed.ptr NULL: all */
	hsm_in start, end;                      /* dates, or empty */
	size_t n;
	hsm_attr *list;                         /* behind the record, the values behind it */
};

/* How an object comes to be. */
enum facts_how { HOW_GENERATE, HOW_CREATE, HOW_UNWRAP, HOW_DERIVE };

struct facts_order {
	enum facts_how how;
	uint32_t klass;
	hsm_spec spec;
	uint64_t made_by;
	hsm_role role;
	bool strict;
	const struct facts *base;               /* HOW_DERIVE: the key derived from */
	hsm_in template;                        /* what the unwrapping or deriving key demands */
	hsm_in unique;                          /* CKA_UNIQUE_ID */
};

/* Defaults, then what the caller says, then what contradicts. */
HSM_MUST_USE hsm_status facts_make(const struct facts_order *order, const hsm_attr *attrs, size_t n, struct facts **facts);
/* A changed record; nothing is changed in `from`. */
HSM_MUST_USE hsm_status facts_change(const struct facts *from, hsm_role role, bool strict, const hsm_attr *attrs, size_t n, struct facts **facts);
HSM_MUST_USE hsm_status facts_copy(const struct facts *from, const struct facts_order *order, const hsm_attr *attrs, size_t n, struct facts **facts);
/* A record as it is written (decoding a sealed object). Checks the values'
 * bounds only. */
HSM_MUST_USE hsm_status facts_build(const struct facts *fixed, const hsm_attr *attrs, size_t n, struct facts **facts);
void facts_free(struct facts *facts);       /* and the older ones behind it */

bool facts_find(const struct facts *f, uint32_t type, hsm_in *value);
/* What the record itself answers. HSM_E_ATTR_SENSITIVE, HSM_E_ATTR_TYPE; *ask:
 * the key must be asked (a component). */
HSM_MUST_USE hsm_status facts_get(const struct facts *f, uint32_t type, hsm_out *value, bool *ask);
/* Does the record fit this attribute? *ask as above. Secret values never do. */
bool facts_match(const struct facts *f, const hsm_attr *attr, bool *ask);
/* Every attribute of a template (wrap templates). */
bool facts_match_template(const struct facts *f, hsm_in template);

/* Where the caller says what kind of object it is. HSM_E_TEMPLATE_INCOMPLETE. */
HSM_MUST_USE hsm_status attrs_number(const hsm_attr *attrs, size_t n, uint32_t type, uint64_t *number);
bool attrs_find(const hsm_attr *attrs, size_t n, uint32_t type, hsm_in *value);
/* The core's key type for a CKK_ number: hash-named HMAC keys are generic. */
uint32_t attrs_key_type(uint64_t number);
uint32_t attrs_strength(hsm_spec spec);     /* bits of security */
uint32_t attrs_bits(hsm_spec spec);         /* as mechanism rows count */

#endif
