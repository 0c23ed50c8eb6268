/* SPDX-License-Identifier: MIT */
/* Error numbers: from the host's to WASI's, and their names. The list is errno.def. */
#include "wasi.h"

#include <errno.h>

Errno errno_of_host(int number) {
  switch (number) {
  case 0: return WASI_ESUCCESS;
#define ERRNO(name) case name: return WASI_##name;
#define OWN_ERRNO(name)
#include "errno.def"
#undef ERRNO
#undef OWN_ERRNO
  default: return WASI_EIO;
  }
}

Errno errno_now(void) { return errno_of_host(errno); }

const char *lun_wasi_errno_name(uint32_t number) {
  static const char *const names[] = {
#define ERRNO(name) #name,
#define OWN_ERRNO(name) #name,
#include "errno.def"
#undef ERRNO
#undef OWN_ERRNO
  };
  return number < ERRNO_COUNT ? names[number] : NULL;
}
