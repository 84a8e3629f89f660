/*
 * All classes, as native programs have them. Guests have a table of those that they use.
 */
#include "router.h"

#define CLICK_CLASS(name) extern const struct click_class click_class_##name;
#include "classes.def"
#undef CLICK_CLASS

#define CLICK_CLASS(name) &click_class_##name,
const struct click_class *const click_classes[] = {
#include "classes.def"
	NULL,
};
