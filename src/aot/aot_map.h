/*
 * The map from native code to the functions of the module, made of the linked object's symbols: the
 * section of names of an image (image/image_names.h).
 */
#pragma once

#include "aot/aot_names.h"
#include "base/why.h"

/*
 * Appends the section to OUT. ELF is the object that was compiled from the rewritten module
 * (aot_module_rewrite()), still with its symbols. Parts that the compiler split off or copied are
 * entries of their own, named like "parse.cold". -EIO: the object is damaged; -ENOMEM, -EFBIG.
 */
int aot_map_write(const uint8_t *elf, size_t size, const struct aot_names *names,
		  struct eos_buf *out, struct eos_why *why) EOS_MUST_CHECK;
