/* rules.h - one row an attribute: who has it, who may say it, and when. */
#ifndef STRONGROOM_RULES_H
#define STRONGROOM_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Where its value lies. */
enum rule_form {
	RULE_OWN,               /* follows from the record itself */
	RULE_FLAG, RULE_USE,    /* a bit of facts->flags or facts->use */
	RULE_NUMBER, RULE_BYTES, RULE_DATE, RULE_MECHS, RULE_TEMPLATE,  /* in the list */
	RULE_KEY,               /* a public component: the key answers */
	RULE_SECRET             /* a secret component */
};

#define WHEN_MAKE    0x01u      /* given when the object is made, however */
#define WHEN_CREATE  0x02u      /* given when it is created in the clear; elsewhere read and dropped */
#define WHEN_SET     0x04u      /* changed later */
#define WHEN_COPY    0x08u      /* changed by a copy */
#define WHEN_UP      0x10u      /* once true, true for ever */
#define WHEN_DOWN    0x20u      /* once false, false for ever */
#define WHEN_OFFICER 0x40u      /* only the officer says TRUE */
#define WHEN_NOBODY  0x80u      /* no template that makes an object knows it */

struct rule {
	uint32_t type;
	uint8_t form, when;
	uint16_t classes;       /* 1 << hsm_class */
	uint32_t bit;
};

const struct rule *rule_find(uint32_t type, uint32_t klass);    /* NULL: no such attribute there */

#endif
