/* SPDX-License-Identifier: MIT */
/* All of the door. Each header can be included alone, in C11 and in C++; its first comment says who owns what, and on which
 * threads it may be used. Threads: lun_version is for any. */
#ifndef LUNETTE_LUNETTE_H
#define LUNETTE_LUNETTE_H

#include <lunette/aggregate.h>
#include <lunette/change.h>
#include <lunette/exception.h>
#include <lunette/event.h>
#include <lunette/instance.h>
#include <lunette/intercept.h>
#include <lunette/listener.h>
#include <lunette/module.h>
#include <lunette/output.h>
#include <lunette/pairing.h>
#include <lunette/predicate.h>
#include <lunette/stack.h>
#include <lunette/status.h>
#include <lunette/store.h>
#include <lunette/symbols.h>
#include <lunette/toolchain.h>
#include <lunette/value.h>
#include <lunette/wasi.h>
#include <lunette/where.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LUN_VERSION "0.1.0"
/* The library's version, as text. */
LUN_API const char *lun_version(void);

#ifdef __cplusplus
}
#endif
#endif
