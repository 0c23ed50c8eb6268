/* SPDX-License-Identifier: MIT */
/* Descriptors: what they are, flags, rights, size and times, where they stand, closing and renumbering. Reading and writing
 * is in io.c, listing folders in readdir.c. */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static Errno answer(int result) { return result < 0 ? errno_now() : WASI_ESUCCESS; }

/* Folders and unseekable things answer as a POSIX program expects, rather than ENOTCAPABLE. */
static Errno file_descriptor(Call *call, uint64_t fd, uint64_t rights, Descriptor **out) {
  Errno failure = call_descriptor(call, fd, rights, out);
  if (failure != WASI_ENOTCAPABLE) return failure;
  return (*out)->type == FILETYPE_DIRECTORY ? WASI_EISDIR : failure;
}

Errno call_fd_advise(Call *call, const uint64_t *params) {
  static const int advices[] = { POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                 POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE };
  Descriptor *descriptor;
  Errno failure = file_descriptor(call, params[0], RIGHT_FD_ADVISE, &descriptor);
  uint32_t advice = (uint32_t)params[3];
  if (failure) return failure == WASI_ENOTCAPABLE && !descriptor->seekable ? WASI_ESPIPE : failure;
  if (advice >= sizeof advices / sizeof *advices || params[1] > INT64_MAX || params[2] > INT64_MAX) return WASI_EINVAL;
  return errno_of_host(posix_fadvise(descriptor->host, (off_t)params[1], (off_t)params[2], advices[advice]));
}

Errno call_fd_allocate(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = file_descriptor(call, params[0], RIGHT_FD_ALLOCATE, &descriptor);
  if (failure) return failure;
  if (params[1] > INT64_MAX || params[2] > INT64_MAX - params[1]) return WASI_EFBIG;
  int result;
  while ((result = fallocate(descriptor->host, 0, (off_t)params[1], (off_t)params[2])) < 0 && errno == EINTR)
    if ((failure = call_check(call))) return failure;
  return answer(result);
}

Errno call_fd_close(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  return failure ? failure : answer(table_close(&call->wasi->table, (uint32_t)params[0]));
}

Errno call_fd_datasync(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], RIGHT_FD_DATASYNC, &descriptor);
  return failure ? failure : answer(fdatasync(descriptor->host));
}

Errno call_fd_sync(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], RIGHT_FD_SYNC, &descriptor);
  return failure ? failure : answer(fsync(descriptor->host));
}

/* fdstat: filetype, flags, rights_base, rights_inheriting. */
Errno call_fd_fdstat_get(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  if (failure) return failure;
  uint8_t *at = guest_write(call, params[1], 24);
  if (!at) return WASI_EFAULT;
  memset(at, 0, 24);
  at[0] = (uint8_t)descriptor->type;
  store_u16(at + 2, descriptor->flags);
  store_u64(at + 8, descriptor->rights);
  store_u64(at + 16, descriptor->inheriting);
  return WASI_ESUCCESS;
}

/* Of our own descriptors O_APPEND is changed in the host; O_NONBLOCK is a matter of the table (io.c), and so is everything
 * about the caller's, whose flags others share. The flags about syncing cannot be changed on Linux. */
Errno call_fd_fdstat_set_flags(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  uint32_t flags = (uint32_t)params[1];
  Errno failure = call_descriptor(call, params[0], RIGHT_FD_FDSTAT_SET_FLAGS, &descriptor);
  if (failure) return failure;
  if (flags & ~(uint32_t)FDFLAGS_ALL) return WASI_EINVAL;
  if ((flags ^ descriptor->flags) & (FDFLAG_DSYNC | FDFLAG_RSYNC | FDFLAG_SYNC)) return WASI_ENOTSUP;
  if (descriptor->stdio < 0 && ((flags ^ descriptor->flags) & FDFLAG_APPEND)) {
    int mode = fcntl(descriptor->host, F_GETFL);
    if (mode < 0 || fcntl(descriptor->host, F_SETFL, flags & FDFLAG_APPEND ? mode | O_APPEND : mode & ~O_APPEND) < 0)
      return errno_now();
  }
  descriptor->flags = (uint16_t)flags;
  return WASI_ESUCCESS;
}

Errno call_fd_fdstat_set_rights(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  if (failure) return failure;
  if ((params[1] & ~descriptor->rights) || (params[2] & ~descriptor->inheriting)) return WASI_ENOTCAPABLE;
  descriptor->rights = params[1];
  descriptor->inheriting = params[2];
  return WASI_ESUCCESS;
}

Errno call_fd_filestat_get(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  struct stat status;
  Errno failure = call_descriptor(call, params[0], RIGHT_FD_FILESTAT_GET, &descriptor);
  if (failure) return failure;
  if (fstat(descriptor->host, &status) < 0) return errno_now();
  return guest_put_filestat(call, params[1], &status, descriptor->type);
}

Errno call_fd_filestat_set_size(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = file_descriptor(call, params[0], RIGHT_FD_FILESTAT_SET_SIZE, &descriptor);
  if (failure) return failure;
  if (params[1] > INT64_MAX) return WASI_EFBIG;
  return answer(ftruncate(descriptor->host, (off_t)params[1]));
}

Errno call_fd_filestat_set_times(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  struct timespec times[2];
  Errno failure = call_descriptor(call, params[0], RIGHT_FD_FILESTAT_SET_TIMES, &descriptor);
  if (!failure) failure = times_of(params[1], params[2], params[3], times);
  if (failure) return failure;
  return descriptor->read_only ? WASI_EROFS : answer(futimens(descriptor->host, times));
}

/* prestat: tag (0: a folder), length of the name. */
Errno call_fd_prestat_get(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  if (!failure && !descriptor->preopen) failure = WASI_EBADF;
  if (failure) return failure;
  uint8_t *at = guest_write(call, params[1], 8);
  if (!at) return WASI_EFAULT;
  store_u32(at, 0);
  store_u32(at + 4, (uint32_t)strlen(descriptor->preopen));
  return WASI_ESUCCESS;
}

Errno call_fd_prestat_dir_name(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  if (!failure && !descriptor->preopen) failure = WASI_EBADF;
  if (failure) return failure;
  size_t length = strlen(descriptor->preopen);
  if (!guest_holds(call, params[1], (uint32_t)params[2])) return WASI_EFAULT;
  if ((uint32_t)params[2] < length) return WASI_ENAMETOOLONG;
  return guest_put_bytes(call, params[1], descriptor->preopen, length);
}

/* Like dup2 and close of the old one, except that the new one must be open: a guest cannot make holes in the table. */
Errno call_fd_renumber(Call *call, const uint64_t *params) {
  Table *table = &call->wasi->table;
  uint32_t from = (uint32_t)params[0], to = (uint32_t)params[1];
  Descriptor *source = table_at(table, from), *target = table_at(table, to);
  if (!source || !target) return WASI_EBADF;
  if (source == target) return WASI_ESUCCESS;
  table_close(table, to); /* what a late write error has to say is lost, as with dup2 */
  *target = *source;
  *source = (Descriptor){ .host = -1 };
  return WASI_ESUCCESS;
}

static Errno seek(Call *call, Descriptor *descriptor, int64_t offset, int whence, uint64_t result) {
  if (!guest_holds(call, result, 8)) return WASI_EFAULT;
  off_t position = lseek(descriptor->host, (off_t)offset, whence);
  return position < 0 ? errno_now() : guest_put_u64(call, result, (uint64_t)position);
}

Errno call_fd_seek(Call *call, const uint64_t *params) {
  static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END }, unstable_whences[] = { SEEK_CUR, SEEK_END, SEEK_SET };
  uint32_t number = (uint32_t)params[2];
  if (number >= 3) return table_at(&call->wasi->table, (uint32_t)params[0]) ? WASI_EINVAL : WASI_EBADF;
  int whence = call->unstable ? unstable_whences[number] : whences[number];
  Descriptor *descriptor;
  bool tells = whence == SEEK_CUR && params[1] == 0;
  Errno failure = file_descriptor(call, params[0], tells ? 0 : RIGHT_FD_SEEK, &descriptor);
  if (!failure && tells && !(descriptor->rights & (RIGHT_FD_TELL | RIGHT_FD_SEEK)))
    failure = descriptor->type == FILETYPE_DIRECTORY ? WASI_EISDIR : WASI_ENOTCAPABLE;
  if (failure == WASI_ENOTCAPABLE && !descriptor->seekable) failure = WASI_ESPIPE;
  return failure ? failure : seek(call, descriptor, (int64_t)params[1], whence, params[3]);
}

Errno call_fd_tell(Call *call, const uint64_t *params) {
  Descriptor *descriptor;
  Errno failure = call_descriptor(call, params[0], 0, &descriptor);
  if (failure) return failure;
  if (descriptor->type == FILETYPE_DIRECTORY) return WASI_EISDIR;
  if (!descriptor->seekable) return WASI_ESPIPE;
  if (!(descriptor->rights & (RIGHT_FD_TELL | RIGHT_FD_SEEK))) return WASI_ENOTCAPABLE;
  return seek(call, descriptor, 0, SEEK_CUR, params[1]);
}
