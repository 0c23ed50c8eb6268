/* SPDX-License-Identifier: MIT */
/* Guest memory: the one place where this layer looks at an address, a size or a count that the guest gave. Everything is
 * checked before use, with sums in 64 bits, and goes through lun_memory_read and lun_memory_write. A guest without a memory
 * fails like one whose every address lies outside. */
#include "wasi.h"

#include <string.h>

bool guest_holds(const Call *call, uint64_t address, uint64_t size) { return guest_read(call, address, size) != NULL; }

const uint8_t *guest_read(const Call *call, uint64_t address, uint64_t size) {
  return call->memory ? lun_memory_read(call->memory, (uint32_t)address, size) : NULL;
}

uint8_t *guest_write(const Call *call, uint64_t address, uint64_t size) {
  return call->memory ? lun_memory_write(call->memory, (uint32_t)address, size) : NULL;
}

/* Byte by byte, so that the host's order and alignment do not matter; compilers make one instruction of it. */
uint16_t load_u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
uint32_t load_u32(const uint8_t *at) { return load_u16(at) | (uint32_t)load_u16(at + 2) << 16; }
uint64_t load_u64(const uint8_t *at) { return load_u32(at) | (uint64_t)load_u32(at + 4) << 32; }

void store_u16(uint8_t *at, uint16_t value) {
  at[0] = (uint8_t)value;
  at[1] = (uint8_t)(value >> 8);
}

void store_u32(uint8_t *at, uint32_t value) {
  store_u16(at, (uint16_t)value);
  store_u16(at + 2, (uint16_t)(value >> 16));
}

void store_u64(uint8_t *at, uint64_t value) {
  store_u32(at, (uint32_t)value);
  store_u32(at + 4, (uint32_t)(value >> 32));
}

Errno guest_put_u32(const Call *call, uint64_t address, uint32_t value) {
  uint8_t *at = guest_write(call, address, 4);
  if (!at) return WASI_EFAULT;
  store_u32(at, value);
  return WASI_ESUCCESS;
}

Errno guest_put_u64(const Call *call, uint64_t address, uint64_t value) {
  uint8_t *at = guest_write(call, address, 8);
  if (!at) return WASI_EFAULT;
  store_u64(at, value);
  return WASI_ESUCCESS;
}

Errno guest_put_bytes(const Call *call, uint64_t address, const void *bytes, size_t size) {
  uint8_t *at = guest_write(call, address, size);
  if (!at) return WASI_EFAULT;
  if (size) memcpy(at, bytes, size);
  return WASI_ESUCCESS;
}

Errno guest_path(const Call *call, uint64_t address, uint64_t size, char path[PATH_ROOM]) {
  uint32_t length = (uint32_t)size;
  const uint8_t *at = guest_read(call, address, length);
  if (!at) return WASI_EFAULT;
  if (length == 0) return WASI_ENOENT;
  if (length >= PATH_ROOM) return WASI_ENAMETOOLONG;
  if (memchr(at, 0, length)) return WASI_EINVAL;
  memcpy(path, at, length);
  path[length] = 0;
  return WASI_ESUCCESS;
}

Errno guest_vectors(const Call *call, uint64_t address, uint64_t count, bool to_fill, uint64_t skip, Vectors *out) {
  uint32_t n = (uint32_t)count;
  out->count = 0;
  out->total = 0;
  if (n > VECTORS_MAX) return WASI_EINVAL;
  const uint8_t *array = guest_read(call, address, (uint64_t)n * 8);
  if (!array) return WASI_EFAULT;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t buffer = load_u32(array + (size_t)i * 8), size = load_u32(array + (size_t)i * 8 + 4);
    /* Only preadv's own type has no const: what is to be read is not written to. */
    uint8_t *at = to_fill ? guest_write(call, buffer, size) : (uint8_t *)(uintptr_t)guest_read(call, buffer, size);
    if (!at) return WASI_EFAULT;
    out->total += size;
    if (out->total > UINT32_MAX) return WASI_EINVAL;
    uint64_t left_out = skip < size ? skip : size;
    skip -= left_out;
    if (size > left_out) out->items[out->count++] = (struct iovec){ at + left_out, (size_t)(size - left_out) };
  }
  return WASI_ESUCCESS;
}

/* filestat: dev ino filetype nlink size atim mtim ctim. In wasi_unstable nlink has 32 bits, which moves what follows. */
bool guest_holds_filestat(const Call *call, uint64_t address) { return guest_holds(call, address, call->unstable ? 56 : 64); }

static uint64_t nanoseconds(const struct timespec *time) {
  return (uint64_t)time->tv_sec * NS_PER_SECOND + (uint64_t)time->tv_nsec;
}

Errno guest_put_filestat(const Call *call, uint64_t address, const struct stat *status, Filetype type) {
  uint8_t *at = guest_write(call, address, call->unstable ? 56 : 64);
  if (!at) return WASI_EFAULT;
  memset(at, 0, 24);
  store_u64(at, status->st_dev);
  store_u64(at + 8, status->st_ino);
  at[16] = (uint8_t)type;
  uint8_t *rest = at + 32;
  if (call->unstable) {
    store_u32(at + 20, (uint32_t)status->st_nlink);
    rest = at + 24;
  } else {
    store_u64(at + 24, status->st_nlink);
  }
  store_u64(rest, (uint64_t)status->st_size);
  store_u64(rest + 8, nanoseconds(&status->st_atim));
  store_u64(rest + 16, nanoseconds(&status->st_mtim));
  store_u64(rest + 24, nanoseconds(&status->st_ctim));
  return WASI_ESUCCESS;
}

static struct timespec time_of(uint64_t ns, bool set, bool now) {
  if (now) return (struct timespec){ .tv_nsec = UTIME_NOW };
  if (!set) return (struct timespec){ .tv_nsec = UTIME_OMIT };
  return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND) };
}

Errno times_of(uint64_t atim, uint64_t mtim, uint64_t flags, struct timespec times[2]) {
  uint32_t f = (uint32_t)flags;
  if (f & ~(uint32_t)FSTFLAGS_ALL) return WASI_EINVAL;
  if ((f & FSTFLAG_ATIM) && (f & FSTFLAG_ATIM_NOW)) return WASI_EINVAL;
  if ((f & FSTFLAG_MTIM) && (f & FSTFLAG_MTIM_NOW)) return WASI_EINVAL;
  times[0] = time_of(atim, f & FSTFLAG_ATIM, f & FSTFLAG_ATIM_NOW);
  times[1] = time_of(mtim, f & FSTFLAG_MTIM, f & FSTFLAG_MTIM_NOW);
  return WASI_ESUCCESS;
}
