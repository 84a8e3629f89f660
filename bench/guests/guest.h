/*
 * How guests of the benches name what they import and export. They are compiled without a C
 * library, so that an instance is no more than what is written here.
 */
#pragma once

#define IMPORT(name) __attribute__((import_module("bench"), import_name(name)))
#define PAGE	     4096u /* the host's, not WebAssembly's */

void _start(void);
