/* SPDX-License-Identifier: MIT */
/* Paths: everything that begins at a folder's descriptor and a name in it. How a path is kept inside is in resolve.c. */
#include "wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The folder's descriptor and the path. */
static Errno folder_and_path(Call *call, uint64_t fd, uint64_t rights, uint64_t address, uint64_t size, Descriptor **folder,
                             char path[PATH_ROOM]) {
  Errno failure = call_descriptor(call, fd, 0, folder);
  if (failure) return failure;
  if ((*folder)->type != FILETYPE_DIRECTORY) return WASI_ENOTDIR;
  if (rights & ~(*folder)->rights) return WASI_ENOTCAPABLE;
  return guest_path(call, address, size, path);
}

/* The same, for a call that changes something, and the folder of the last component. Release the parent on success. */
static Errno parent_to_change(Call *call, uint64_t fd, uint64_t right, uint64_t address, uint64_t size, char path[PATH_ROOM],
                              Parent *parent) {
  Descriptor *folder;
  Errno failure = folder_and_path(call, fd, right, address, size, &folder, path);
  if (failure) return failure;
  if (folder->read_only) return WASI_EROFS;
  return resolve_parent(call->wasi, folder->host, path, parent) ? WASI_ESUCCESS : resolve_errno();
}

static Errno answer_and_release(int result, Parent *parent) {
  Errno answer = result < 0 ? errno_now() : WASI_ESUCCESS;
  parent_release(parent);
  return answer;
}

Errno call_path_create_directory(Call *call, const uint64_t *params) {
  char path[PATH_ROOM];
  Parent parent;
  Errno failure = parent_to_change(call, params[0], RIGHT_PATH_CREATE_DIRECTORY, params[1], params[2], path, &parent);
  return failure ? failure : answer_and_release(mkdirat(parent.fd, parent.name, 0777), &parent);
}

Errno call_path_remove_directory(Call *call, const uint64_t *params) {
  char path[PATH_ROOM];
  Parent parent;
  Errno failure = parent_to_change(call, params[0], RIGHT_PATH_REMOVE_DIRECTORY, params[1], params[2], path, &parent);
  return failure ? failure : answer_and_release(unlinkat(parent.fd, parent.name, AT_REMOVEDIR), &parent);
}

Errno call_path_unlink_file(Call *call, const uint64_t *params) {
  char path[PATH_ROOM];
  Parent parent;
  Errno failure = parent_to_change(call, params[0], RIGHT_PATH_UNLINK_FILE, params[1], params[2], path, &parent);
  return failure ? failure : answer_and_release(unlinkat(parent.fd, parent.name, 0), &parent);
}

Errno call_path_rename(Call *call, const uint64_t *params) {
  char old_path[PATH_ROOM], new_path[PATH_ROOM];
  Parent old_parent, new_parent;
  Errno failure = parent_to_change(call, params[0], RIGHT_PATH_RENAME_SOURCE, params[1], params[2], old_path, &old_parent);
  if (failure) return failure;
  failure = parent_to_change(call, params[3], RIGHT_PATH_RENAME_TARGET, params[4], params[5], new_path, &new_parent);
  if (!failure)
    failure = answer_and_release(renameat(old_parent.fd, old_parent.name, new_parent.fd, new_parent.name), &new_parent);
  parent_release(&old_parent);
  return failure;
}

/* An absolute target could never be followed; it is refused at once. */
Errno call_path_symlink(Call *call, const uint64_t *params) {
  char target[PATH_ROOM], path[PATH_ROOM];
  Parent parent;
  Errno failure = guest_path(call, params[0], params[1], target);
  if (!failure) failure = parent_to_change(call, params[2], RIGHT_PATH_SYMLINK, params[3], params[4], path, &parent);
  if (failure) return failure;
  if (target[0] == '/') {
    parent_release(&parent);
    return WASI_ENOTCAPABLE;
  }
  return answer_and_release(symlinkat(target, parent.fd, parent.name), &parent);
}

/* Links are not followed: a link's target could be swapped between looking and linking. */
Errno call_path_link(Call *call, const uint64_t *params) {
  char old_path[PATH_ROOM], new_path[PATH_ROOM];
  Parent old_parent, new_parent;
  if ((uint32_t)params[1] != 0) return WASI_EINVAL;
  Errno failure = parent_to_change(call, params[0], RIGHT_PATH_LINK_SOURCE, params[2], params[3], old_path, &old_parent);
  if (failure) return failure;
  failure = parent_to_change(call, params[4], RIGHT_PATH_LINK_TARGET, params[5], params[6], new_path, &new_parent);
  if (!failure && !old_parent.plain) {
    /* Only a folder can be named so (and with a slash behind it, the kernel would follow a link): never to be linked. */
    int fd = resolve_open(call->wasi, old_parent.fd, old_parent.name, O_PATH | O_DIRECTORY, 0);
    failure = fd < 0 ? resolve_errno() : WASI_EPERM;
    if (fd >= 0) close(fd);
    parent_release(&new_parent);
  } else if (!failure) {
    failure = answer_and_release(linkat(old_parent.fd, old_parent.name, new_parent.fd, new_parent.name, 0), &new_parent);
  }
  parent_release(&old_parent);
  return failure;
}

/* ---- looking at what a path names ---- */
/* Opens it to ask about it, following a last link or not. -1 and errno. */
static int node_open(Call *call, const Descriptor *folder, const char *path, uint64_t lookup) {
  bool follow = (uint32_t)lookup & LOOKUP_SYMLINK_FOLLOW;
  return resolve_open(call->wasi, folder->host, path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
}

Errno call_path_readlink(Call *call, const uint64_t *params) {
  char path[PATH_ROOM], text[PATH_ROOM];
  Descriptor *folder;
  struct stat status;
  Errno failure = folder_and_path(call, params[0], RIGHT_PATH_READLINK, params[1], params[2], &folder, path);
  if (failure) return failure;
  if (!guest_holds(call, params[3], (uint32_t)params[4]) || !guest_holds(call, params[5], 4)) return WASI_EFAULT;
  int node = node_open(call, folder, path, 0);
  if (node < 0) return resolve_errno();
  ssize_t size = fstat(node, &status);
  if (size == 0 && !S_ISLNK(status.st_mode)) {
    errno = EINVAL;
    size = -1;
  }
  if (size == 0) size = readlinkat(node, "", text, sizeof text);
  failure = size < 0 ? errno_now() : WASI_ESUCCESS;
  close(node);
  if (failure) return failure;
  if ((uint32_t)params[4] < (size_t)size) size = (uint32_t)params[4];
  guest_put_bytes(call, params[3], text, (size_t)size);
  return guest_put_u32(call, params[5], (uint32_t)size);
}

Errno call_path_filestat_get(Call *call, const uint64_t *params) {
  char path[PATH_ROOM];
  Descriptor *folder;
  struct stat status;
  Errno failure = folder_and_path(call, params[0], RIGHT_PATH_FILESTAT_GET, params[2], params[3], &folder, path);
  if (failure) return failure;
  if ((uint32_t)params[1] & ~(uint32_t)LOOKUP_SYMLINK_FOLLOW) return WASI_EINVAL;
  if (!guest_holds_filestat(call, params[4])) return WASI_EFAULT;
  int node = node_open(call, folder, path, params[1]);
  if (node < 0) return resolve_errno();
  failure = fstat(node, &status) < 0 ? errno_now() : WASI_ESUCCESS;
  close(node);
  return failure ? failure : guest_put_filestat(call, params[4], &status, filetype_of(&status));
}

/* Kernels before 5.8 cannot set the times of what was only opened to ask about it, except by its name in /proc. */
static int node_set_times(int node, const struct timespec times[2]) {
  char name[64];
  int result = utimensat(node, "", times, AT_EMPTY_PATH);
  if (result == 0 || (errno != EINVAL && errno != ENOENT)) return result;
  snprintf(name, sizeof name, "/proc/self/fd/%d", node);
  return utimensat(AT_FDCWD, name, times, 0);
}

Errno call_path_filestat_set_times(Call *call, const uint64_t *params) {
  char path[PATH_ROOM];
  Descriptor *folder;
  struct timespec times[2];
  Errno failure = folder_and_path(call, params[0], RIGHT_PATH_FILESTAT_SET_TIMES, params[2], params[3], &folder, path);
  if (!failure) failure = times_of(params[4], params[5], params[6], times);
  if (failure) return failure;
  if ((uint32_t)params[1] & ~(uint32_t)LOOKUP_SYMLINK_FOLLOW) return WASI_EINVAL;
  if (folder->read_only) return WASI_EROFS;
  int node = node_open(call, folder, path, params[1]);
  if (node < 0) return resolve_errno();
  failure = node_set_times(node, times) < 0 ? errno_now() : WASI_ESUCCESS;
  close(node);
  return failure;
}

/* ---- path_open ---- */
typedef struct Opening {
  uint32_t oflags, fdflags;
  uint64_t rights, inheriting; /* asked for */
  int flags;                   /* for the host */
} Opening;

static Errno opening_of(const uint64_t *params, Opening *out) {
  uint32_t lookup = (uint32_t)params[1];
  out->oflags = (uint32_t)params[4];
  out->rights = params[5] & RIGHTS_OPENED;
  out->inheriting = params[6] & RIGHTS_OPENED;
  out->fdflags = (uint32_t)params[7];
  if ((lookup & ~(uint32_t)LOOKUP_SYMLINK_FOLLOW) || (out->oflags & ~(uint32_t)OFLAGS_ALL) ||
      (out->fdflags & ~(uint32_t)FDFLAGS_ALL))
    return WASI_EINVAL;
  bool writes = out->rights & RIGHTS_TO_WRITE, reads = out->rights & (RIGHT_FD_READ | RIGHT_FD_READDIR);
  out->flags = O_NOCTTY | O_NONBLOCK | (!writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY);
  if (!(lookup & LOOKUP_SYMLINK_FOLLOW)) out->flags |= O_NOFOLLOW;
  if (out->oflags & OFLAG_CREAT) out->flags |= O_CREAT;
  if (out->oflags & OFLAG_DIRECTORY) out->flags |= O_DIRECTORY;
  if (out->oflags & OFLAG_EXCL) out->flags |= O_EXCL;
  if (out->oflags & OFLAG_TRUNC) out->flags |= O_TRUNC;
  if (out->fdflags & FDFLAG_APPEND) out->flags |= O_APPEND;
  if (out->fdflags & FDFLAG_DSYNC) out->flags |= O_DSYNC;
  if (out->fdflags & FDFLAG_RSYNC) out->flags |= O_RSYNC;
  if (out->fdflags & FDFLAG_SYNC) out->flags |= O_SYNC;
  return WASI_ESUCCESS;
}

/* What the folder must allow for this. */
static Errno opening_allowed(const Opening *opening, const Descriptor *folder) {
  uint64_t needed = RIGHT_PATH_OPEN, inherited = opening->rights | opening->inheriting;
  if (opening->oflags & OFLAG_CREAT) needed |= RIGHT_PATH_CREATE_FILE;
  if (opening->oflags & OFLAG_TRUNC) needed |= RIGHT_PATH_FILESTAT_SET_SIZE;
  if (opening->fdflags & FDFLAG_DSYNC) inherited |= RIGHT_FD_DATASYNC;
  if (opening->fdflags & (FDFLAG_RSYNC | FDFLAG_SYNC)) inherited |= RIGHT_FD_SYNC;
  return (needed & ~folder->rights) || (inherited & ~folder->inheriting) ? WASI_ENOTCAPABLE : WASI_ESUCCESS;
}

/* In a read-only folder: opens what is there, to be read; answers as a read-only file system does. -1 and errno. */
static int open_read_only(Call *call, const Descriptor *folder, const char *path, const Opening *opening) {
  int flags = opening->flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_ACCMODE);
  bool writes = (opening->flags & O_ACCMODE) != O_RDONLY || (opening->flags & O_TRUNC);
  bool creates_new = (opening->flags & O_CREAT) && (opening->flags & O_EXCL);
  int fd = resolve_open(call->wasi, folder->host, path, writes || creates_new ? O_PATH | (flags & O_NOFOLLOW) : flags, 0);
  if (fd < 0) {
    if (errno == ENOENT && (opening->flags & O_CREAT)) errno = EROFS;
    return -1;
  }
  if (!writes && !creates_new) return fd;
  close(fd);
  errno = creates_new ? EEXIST : EROFS;
  return -1;
}

/* Devices act on more than their folder: those that do not are few. */
static bool is_harmless(int host) {
  struct stat status;
  if (fstat(host, &status) < 0 || !S_ISCHR(status.st_mode)) return false;
  unsigned number = minor(status.st_rdev); /* 3 null, 5 zero, 7 full, 8 random, 9 urandom */
  return major(status.st_rdev) == 1 && (number == 3 || number == 5 || (number >= 7 && number <= 9));
}

/* A pipe that nobody reads yet, and that the guest is ready to wait for? */
static bool lacks_reader(Call *call, const Descriptor *folder, const char *path, const Opening *opening) {
  struct stat status;
  if (opening->fdflags & FDFLAG_NONBLOCK) return false;
  int node = node_open(call, folder, path, opening->flags & O_NOFOLLOW ? 0 : LOOKUP_SYMLINK_FOLLOW);
  bool is_pipe = node >= 0 && fstat(node, &status) == 0 && S_ISFIFO(status.st_mode);
  if (node >= 0) close(node);
  return is_pipe;
}

/* Takes the host's descriptor. */
static Errno opened(Call *call, int host, const Opening *opening, bool read_only, uint64_t result) {
  Descriptor descriptor = { .stdio = -1, .read_only = read_only, .flags = (uint16_t)opening->fdflags };
  uint32_t fd;
  Errno failure = descriptor_describe(&descriptor, host) ? WASI_ESUCCESS : errno_now();
  bool is_device = descriptor.type == FILETYPE_BLOCK_DEVICE || descriptor.type == FILETYPE_CHARACTER_DEVICE;
  if (!failure && is_device && !is_harmless(host)) failure = WASI_ENOTCAPABLE;
  /* O_NONBLOCK stays where it is used (io.c). */
  if (!failure && !descriptor.blocks) fcntl(host, F_SETFL, opening->flags & O_APPEND);
  descriptor.rights &= opening->rights;
  descriptor.inheriting &= opening->inheriting;
  if (!failure && !table_add(&call->wasi->table, &descriptor, &fd)) failure = WASI_ENOMEM;
  if (!failure) return guest_put_u32(call, result, fd);
  close(host);
  return failure;
}

static Errno open_once(Call *call, const uint64_t *params, bool *no_reader) {
  char path[PATH_ROOM];
  Descriptor *folder;
  Opening opening;
  Errno failure = folder_and_path(call, params[0], RIGHT_PATH_OPEN, params[2], params[3], &folder, path);
  if (!failure) failure = opening_of(params, &opening);
  if (!failure) failure = opening_allowed(&opening, folder);
  if (!failure && !guest_holds(call, params[8], 4)) failure = WASI_EFAULT;
  if (failure) return failure;
  int host = folder->read_only ? open_read_only(call, folder, path, &opening)
                               : resolve_open(call->wasi, folder->host, path, opening.flags, 0666);
  if (host >= 0) return opened(call, host, &opening, folder->read_only, params[8]);
  failure = resolve_errno();
  *no_reader = failure == WASI_ENXIO && lacks_reader(call, folder, path, &opening);
  return failure;
}

/* Waits for a reader where a pipe is to be written, as open(2) does; the kernel cannot be asked to tell when one comes. */
#define READER_WAIT_NS 10000000

Errno call_path_open(Call *call, const uint64_t *params) {
  for (;;) {
    bool no_reader = false;
    Errno failure = open_once(call, params, &no_reader);
    if (!no_reader) return failure;
    call->ended = lun_store_wait(call->store, NULL, 0, READER_WAIT_NS, call->error);
    if (call->ended != LUN_OK) return WASI_EINTR;
  }
}
